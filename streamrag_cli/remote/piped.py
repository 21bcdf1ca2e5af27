"""Documents that were piped into `streamrag ingest - --name NAME`. They exist only as copies."""

from collections.abc import Iterator

from streamrag_cli.addresses import Address
from streamrag_cli.documents.discovery_results import DiscoveryResult, FoundFile
from streamrag_cli.errors import DocumentError
from streamrag_cli.remote.copies import DRY_RUN, Copy
from streamrag_cli.remote.sources import FetchOptions


def discover(root: Address, copy: Copy, options: FetchOptions) -> Iterator[DiscoveryResult]:
    """Yield the document, whose content is in `options.piped` or was copied before.

    Raises DocumentError `no_copy`, OSError.
    """
    data = options.piped.get(root)
    name = root.name
    if data is None:
        file = copy.files / name
        if not copy.exists or not file.is_file():
            raise DocumentError("the copy of the piped document no longer exists; pipe it again", code="no_copy")
    elif options.dry_run:
        file = copy.write(f"{DRY_RUN}/{name}", data)
    elif not copy.exists or not (copy.files / name).is_file() or (copy.files / name).read_bytes() != data:
        with copy.locked():
            file = copy.write(f"files/{name}", data)
            copy.save({})
    else:
        file = copy.files / name
    yield FoundFile(name=root.text, root=root, real=str(file.resolve()), is_named=True, checks_secrets=False)
