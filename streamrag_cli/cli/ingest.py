"""The command `streamrag ingest`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from streamrag_cli.addresses import Address, Location
from streamrag_cli.cli import options
from streamrag_cli.cli.confirmation import confirmation_for
from streamrag_cli.cli.ingest_watch import run_watch, watch_options
from streamrag_cli.cli.process import Process
from streamrag_cli.cli.streams import read_document
from streamrag_cli.errors import UsageError
from streamrag_cli.settings import Settings

STDIN: Final = "-"

if TYPE_CHECKING:
    from streamrag_cli.events import IngestEvent
    from streamrag_cli.render.interface import Renderer


def command(
    process: Process,
    *,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PATH...",
            help="Files, folders, web pages (https://HOST/PAGE), git repositories"
            " (git+https://HOST/OWNER/REPO@BRANCH//FOLDER), or - for stdin.",
        ),
    ] = None,
    follow: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow",
            help="Also ingest pages below PATH that are linked or listed in the sitemap."
            " [web pages; default: as in the last ingest]",
            show_default=False,
        ),
    ] = None,
    max_pages: Annotated[
        int | None,
        typer.Option(
            "--max-pages", metavar="N", min=1, help="With --follow: maximum number of pages per PATH. [default: 500]"
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="With -: name of the document, such as notes/today.md."),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the documents under PATH, or the collection given by -c.")
    ] = False,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild",
            help="Rebuild the collection from scratch. Without PATH, re-ingest everything it was built from.",
        ),
    ] = False,
    remove_all: Annotated[bool, typer.Option("--all", help="With --remove: delete the whole collection.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change without changing anything.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "-y",
            "--yes",
            help="Do not ask for confirmation before reading many files or removing documents from the collection.",
        ),
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option(
            "--allow-empty",
            help="If a folder no longer exists or has no readable files left, remove its documents.",
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="List every file, including unchanged and skipped ones.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep running until Ctrl-C, and ingest files as soon as they change.")
    ] = False,
    every: Annotated[
        str | None,
        typer.Option(
            "--every", metavar="DUR", help="With --watch: also compare all files this often, such as 30s or 15min."
        ),
    ] = None,
    settle_time: Annotated[
        str | None,
        typer.Option(
            "--settle",
            metavar="DUR",
            help="With --watch: ingest once no file has changed for this long (maximum: 5s). [default: 0.3s]",
        ),
    ] = None,
    poll: Annotated[
        bool, typer.Option("--poll", help="With --watch: detect changes by polling instead of file system events.")
    ] = False,
    settings: Settings,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress progress, notes and the summary.")] = False,
    plain: options.Plain = False,
) -> int:
    """Sync a collection with files, web pages and repositories.

    Adds new files, updates changed ones and removes deleted ones. Without PATH, syncs everything that was ingested
    before. Hidden, secret, git-ignored, generated and vendored files are skipped unless PATH is the file itself. Text
    that is read from stdin (-) is stored under --name.
    """
    # `--remove -c` without PATH removes a whole collection. In a script, an unset variable may be the reason.
    is_implied = remove and not (paths or remove_all or rebuild) and bool(process.hint_command.flags.get("-c"))
    remove_all = remove_all or is_implied
    _check(paths or [], remove=remove, remove_all=remove_all, rebuild=rebuild)
    conflicting = "--remove" if remove else "--dry-run" if dry_run else STDIN if STDIN in (paths or []) else ""
    watching = watch_options(
        process, watch=watch, every=every, settle_time=settle_time, poll=poll, conflicting=conflicting
    )
    locations, piped = _locations(paths or [], name, process, settings, remove=remove)
    locations, starts = _web_roots(locations, follow=follow, max_pages=max_pages)

    from streamrag_cli.render.ingest import ingest_renderer  # imports rich, 60 ms

    shown = ingest_renderer(
        json=json,
        jsonl=jsonl,
        quiet=quiet,
        plain=plain,
        verbose=verbose,
        out=process.out,
        err=process.err,
        next_command=process.with_target_flags("streamrag ask") + ' "..."',
    )
    confirmation = confirmation_for(process, yes=yes, paused=getattr(shown, "paused", nullcontext))
    process.signals.end_on_hangup()  # closing the terminal must not lose what has been embedded
    if watching is not None:
        from streamrag_cli.ingest.roots import IngestRequest
        from streamrag_cli.render.watch import watch_renderer

        watch_view = watch_renderer(shown, json=json, quiet=quiet, plain=plain, out=process.out, err=process.err)
        with _closing_on_error(watch_view):
            to_watch = IngestRequest(
                paths=locations,
                follow=follow,
                max_pages=max_pages,
                starts=starts,
                working_directory=process.working_directory,
                home=process.home,
                rebuild=rebuild,
                environment=process.environment,
                allow_empty=allow_empty,
                confirmation=confirmation,
                uninterrupted=process.signals.saving,
            )
            return run_watch(to_watch, settings, watching, watch_view, process)
    from streamrag_cli.cli.ingest_interruption import InterruptibleRenderer, to_continue

    renderer = InterruptibleRenderer(shown, process)
    process.signals.report = renderer.interrupted
    with _closing_on_error(renderer):
        from streamrag_cli.cli.run import run
        from streamrag_cli.ingest import pipeline  # takes 0.2 s, so the renderer writes its first line before

        request = pipeline.IngestRequest(
            paths=locations,
            piped=piped,
            follow=follow,
            max_pages=max_pages,
            starts=starts,
            on_fetch=getattr(shown, "fetched", _ignore_progress),
            working_directory=process.working_directory,
            home=process.home,
            rebuild=rebuild,
            dry_run=dry_run,
            environment=process.environment,
            allow_empty=allow_empty,
            confirms_removal=is_implied,
            confirmation=confirmation,
            uninterrupted=process.signals.saving,
            interrupted=renderer.interrupted,
        )
        operation = pipeline.ingest if not remove else pipeline.remove_all if remove_all else pipeline.remove
        return run(operation(request, settings), renderer, process, part_of="ingest", hint=to_continue(process))


def _locations(
    paths: Sequence[str], name: str | None, process: Process, settings: Settings, *, remove: bool
) -> "tuple[tuple[Location, ...], dict[Address, bytes]]":
    """Return the paths and addresses on the command line, and the content of the document that is read from stdin.

    Raises UsageError.
    """
    from streamrag_cli.remote.address import has_scheme, parse_address, piped_address

    if remove and STDIN in paths:
        message = "--remove requires the name of the piped document, not -"
        raise UsageError(message, code="usage", hint="streamrag ingest --remove notes/today.md")
    if (STDIN in paths) != (name is not None):
        message = "--name requires - as PATH" if name else "- as PATH requires --name, the name of the document"
        raise UsageError(message, code="usage", hint="pbpaste | streamrag ingest - --name notes/today.md")
    locations: list[Location] = []
    piped: dict[Address, bytes] = {}
    for path in paths:
        if path == STDIN:
            address = piped_address(name or "")
            if address not in piped:
                piped[address] = read_document(process.stdin, process.err, limit_mb=settings.max_file_mb)
            locations.append(address)
        else:
            locations.append(parse_address(path) if has_scheme(path) else Path(path))
    return tuple(locations), piped


def _web_roots(
    locations: "Sequence[Location]", *, follow: bool | None, max_pages: int | None
) -> "tuple[tuple[Location, ...], dict[Address, str]]":
    """Return the locations to ingest, and for each web folder, the first page to read.

    With `follow`, a page's address is replaced by its folder's address. The page is "" if the user named the
    folder itself. Raises UsageError `usage`.
    """
    if follow is None and max_pages is None:
        return tuple(locations), {}
    from streamrag_cli.remote.web.urls import folder_of

    hint = "streamrag ingest --follow https://HOST/FOLDER/"
    pages = [each for each in locations if isinstance(each, Address) and each.scheme in {"http", "https"}]
    if not pages or (max_pages is not None and follow is False):
        flag = (
            "--max-pages requires --follow" if pages else "--follow and --max-pages require the address of a web page"
        )
        raise UsageError(flag, code="usage", hint=hint)
    if not follow:
        return tuple(locations), {}
    if with_query := [each for each in pages if "?" in each.text]:
        message = f"--follow requires an address without a query (?...), unlike {with_query[0]}"
        raise UsageError(message, code="usage", hint=hint)
    roots = {page: Address(folder_of(page.text)) for page in pages}
    starts = {root: page.text if page != root else "" for page, root in roots.items()}
    return tuple(roots.get(each, each) if isinstance(each, Address) else each for each in locations), starts


def _ignore_progress(_number: int, _address: str) -> None:
    """Do nothing: machine-readable output contains no progress before the first event."""


@contextmanager
def _closing_on_error(renderer: "Renderer[IngestEvent]") -> Iterator[None]:
    """Close the renderer if the block raises, so that the terminal is restored."""
    try:
        yield
    except BaseException:
        renderer.close()
        raise


def _check(paths: Sequence[str], *, remove: bool, remove_all: bool, rebuild: bool) -> None:
    """Reject invalid combinations of arguments before anything is opened. Raises UsageError `usage`, `empty_path`."""
    if any(not path.strip() for path in paths):
        # `ingest "$FOLDER"` with an unset variable must not ingest the working directory.
        raise UsageError(
            "a PATH is empty", code="empty_path", hint="pass the path of a folder, or . for the working directory"
        )
    if remove_all and not (remove and not paths):
        raise UsageError(
            "--all requires --remove and cannot be combined with a PATH",
            code="usage",
            hint="streamrag ingest --remove --all -c COLLECTION",
        )
    if remove and (rebuild or not (paths or remove_all)):
        raise UsageError(
            "--remove requires a PATH, or -c to remove a whole collection, and cannot be combined with --rebuild",
            code="usage",
            hint="streamrag ingest --remove PATH",
        )
