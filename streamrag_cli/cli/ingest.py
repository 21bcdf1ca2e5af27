"""`streamrag ingest PATH...`"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import environment, settings_from
from streamrag_cli.errors import UsageError


def command(
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH", help="Files and folders.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take PATH out of the store instead.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the collection anew; without PATH from what was ingested before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and do nothing.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Name every file, skipped ones too.")] = False,
    exclude: options.Exclude = None,
    base_url: options.BaseUrl = None,
    collection: options.Collection = None,
    store: options.Store = None,
    embedding: options.Embedding = None,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    quiet: options.Quiet = False,
    plain: options.Plain = False,
    debug: options.Debug = False,  # noqa: ARG001 - read before any command runs
) -> int:
    """Bring the store in line with the files under PATH: add new, re-do changed, drop deleted, skip unchanged.

    Hidden, secret, git-ignored, generated and vendored files are left out unless PATH names the file itself.
    """
    if remove and (rebuild or dry_run or not paths):
        raise UsageError(
            "--remove takes a PATH and no --rebuild or --dry-run", code="usage", hint="streamrag ingest --remove PATH"
        )
    flags = {"base_url": base_url, "collection": collection, "store": store, "embedding": embedding}
    settings = settings_from({**flags, "exclude": exclude or None})

    from streamrag_cli.cli.drive import drive_ingest
    from streamrag_cli.ingest.pipeline import IngestRequest
    from streamrag_cli.ingest.pipeline import ingest as run_ingest
    from streamrag_cli.ingest.pipeline import remove as run_remove
    from streamrag_cli.render.ingest import ingest_renderer

    request = IngestRequest(
        paths=tuple(Path(path) for path in paths or ()),
        working_directory=Path.cwd(),
        rebuild=rebuild,
        dry_run=dry_run,
        environment=environment(),
    )
    renderer = ingest_renderer(
        json=json, jsonl=jsonl, quiet=quiet, plain=plain, verbose=verbose, out=sys.stdout, err=sys.stderr
    )
    return drive_ingest((run_remove if remove else run_ingest)(request, settings), renderer)
