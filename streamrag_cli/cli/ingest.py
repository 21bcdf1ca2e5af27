"""The command `streamrag ingest`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamrag_cli.cli import options
from streamrag_cli.cli.confirmation import confirmation_for
from streamrag_cli.cli.ingest_watch import run_watch, watch_options
from streamrag_cli.cli.process import Process
from streamrag_cli.errors import UsageError
from streamrag_cli.settings import Settings

if TYPE_CHECKING:
    from streamrag_cli.events import IngestEvent
    from streamrag_cli.render.interface import Renderer


def command(
    process: Process,
    *,
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH...", help="Files and folders to ingest.")] = None,
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
        bool, typer.Option("-y", "--yes", help="Do not ask for confirmation before reading or removing many files.")
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option(
            "--allow-empty",
            help="Remove the stored documents of a folder that no longer exists or no longer has readable files.",
        ),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="List every file, including unchanged and skipped ones.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and ingest files as soon as they change, until Ctrl-C.")
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
            help="With --watch: begin when no file has changed for this long, at most 5s. [default: 0.3s]",
        ),
    ] = None,
    poll: Annotated[
        bool, typer.Option("--poll", help="With --watch: compare the files instead of using events of the system.")
    ] = False,
    settings: Settings,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Suppress progress, notes and the summary.")] = False,
    plain: options.Plain = False,
) -> int:
    """Sync a collection with files and folders.

    Adds new files, updates changed ones and removes deleted ones. Without PATH, everything that was ingested before is
    synced again. Hidden, secret, git-ignored, generated and vendored files are skipped unless PATH names the file
    itself.
    """
    # Without PATH, the collection of -c is meant as a whole. In a script, a variable for PATH may be unset by mistake.
    is_implied = remove and not (paths or remove_all or rebuild) and bool(process.hint_command.flags.get("-c"))
    remove_all = remove_all or is_implied
    _check(paths or [], remove=remove, remove_all=remove_all, rebuild=rebuild)
    conflicting = "--remove" if remove else "--dry-run" if dry_run else ""
    watching = watch_options(
        process, watch=watch, every=every, settle_time=settle_time, poll=poll, conflicting=conflicting
    )

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
    if watching is not None:
        from streamrag_cli.ingest.roots import IngestRequest
        from streamrag_cli.render.watch import watch_renderer

        watch_view = watch_renderer(shown, json=json, quiet=quiet, plain=plain, out=process.out, err=process.err)
        with _closing_on_error(watch_view):
            to_watch = IngestRequest(
                paths=tuple(Path(path) for path in paths or ()),
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
        from streamrag_cli.ingest import pipeline  # after the first line of the renderer: it takes 0.2 s

        request = pipeline.IngestRequest(
            paths=tuple(Path(path) for path in paths or ()),
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
        raise UsageError("a PATH is empty", code="empty_path", hint="name a folder, or use . for the working directory")
    if remove_all and not (remove and not paths):
        raise UsageError(
            "--all requires --remove and takes no PATH",
            code="usage",
            hint="streamrag ingest --remove --all -c COLLECTION",
        )
    if remove and (rebuild or not (paths or remove_all)):
        raise UsageError(
            "--remove requires a PATH, or -c to remove a whole collection, and cannot be combined with --rebuild",
            code="usage",
            hint="streamrag ingest --remove PATH",
        )
