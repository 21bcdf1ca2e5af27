"""`streamrag ingest PATH...`"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.process import Process
from streamrag_cli.errors import UsageError
from streamrag_cli.settings import Settings
from streamrag_cli.text import sanitise_line

if TYPE_CHECKING:
    from streamrag_cli.ingest.roots import Confirmation


def command(
    process: Process,
    *,
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH", help="Files and folders.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take PATH out of the store instead.")] = False,
    rebuild: Annotated[
        bool,
        typer.Option(
            "--rebuild", help="Rebuild the collection from PATH alone; without PATH from everything that was ingested."
        ),
    ] = False,
    remove_all: Annotated[
        bool, typer.Option("--all", help="With --remove: the whole collection, and its name.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask before many files are read or removed.")] = False,
    allow_empty: Annotated[
        bool,
        typer.Option("--allow-empty", help="Delete the documents of a folder that is gone or has nothing to read now."),
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Name every file, skipped ones too.")] = False,
    settings: Settings,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    quiet: options.Quiet = False,
    plain: options.Plain = False,
) -> int:
    """Bring the store in line with the files under PATH: add new, re-do changed, drop deleted, skip unchanged.

    Hidden, secret, git-ignored, generated and vendored files are left out unless PATH names the file itself.
    """
    _check(paths or [], remove=remove, remove_all=remove_all, rebuild=rebuild)

    from streamrag_cli.cli.run import run
    from streamrag_cli.ingest import pipeline
    from streamrag_cli.render.ingest import ingest_renderer

    request = pipeline.IngestRequest(
        paths=tuple(Path(path) for path in paths or ()),
        working_directory=process.working_directory,
        home=process.home,
        rebuild=rebuild,
        dry_run=dry_run,
        environment=process.environment,
        allow_empty=allow_empty,
        confirmation=_confirmation_for(process, yes=yes),
    )
    renderer = ingest_renderer(
        json=json, jsonl=jsonl, quiet=quiet, plain=plain, verbose=verbose, out=process.out, err=process.err
    )
    act = pipeline.ingest if not remove else pipeline.remove_all if remove_all else pipeline.remove
    return run(act(request, settings), renderer, process, part_of="ingest", hint="streamrag ingest PATH")


def _confirmation_for(process: Process, *, yes: bool) -> "Confirmation":
    """Given with `--yes`; asked for if both stdin and stderr are a terminal."""
    from streamrag_cli.ingest.roots import Confirmation

    def ask(question: str) -> bool:
        process.err.write(f"{sanitise_line(question)} [y/N] ")
        process.err.flush()
        return process.stdin.readline().strip().lower() in {"y", "yes"}

    can_ask = process.stdin.isatty() and process.err.isatty()
    return Confirmation(granted=yes, ask=ask if can_ask else None)


def _check(paths: Sequence[str], *, remove: bool, remove_all: bool, rebuild: bool) -> None:
    """Raises UsageError for what makes no sense, before anything is opened."""
    if any(not path.strip() for path in paths):
        # As `ingest "$FOLDER"` passes where the variable is not set: it would be the working directory.
        raise UsageError("a PATH is empty", code="empty_path", hint="name the folder; . is the working directory")
    if remove_all and not (remove and not paths):
        raise UsageError(
            "--all goes with --remove and without a PATH",
            code="usage",
            hint="streamrag ingest --remove --all -c COLLECTION",
        )
    if remove and (rebuild or not (paths or remove_all)):
        raise UsageError(
            "--remove takes a PATH or --all, and no --rebuild", code="usage", hint="streamrag ingest --remove PATH"
        )
