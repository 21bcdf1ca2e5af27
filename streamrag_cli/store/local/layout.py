"""The files of a collection, and its active epoch, which is the version of the files that is in use.

    STORE/collections/NAME/
        current.json       the active epoch, and the roots that were ingested
        writer.lock        held by the only process that writes
        EPOCH/catalog.sqlite3
        EPOCH/vectors/     Chroma's directory, with its locks next to it

A rebuild fills a new epoch and then replaces `current.json` in one step. If the rebuild is interrupted, the collection
is either the old one or the new one.
"""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streamrag_cli.errors import StoreError, UsageError
from streamrag_cli.regular_files import read_regular_file
from streamrag_cli.store.address import is_collection_name
from streamrag_cli.store.local.lock import WRITER_LOCK, try_exclusive
from streamrag_cli.store.local.own_files import EPOCH_NAME, remove_own_files
from streamrag_cli.store.rows import is_stored_path
from streamrag_cli.system_errors import refusal

_EPOCH_PREFIX: Final = "epoch-"
_CURRENT: Final = "current.json"
_MAX_CURRENT_BYTES: Final = 64_000_000


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one collection."""

    store: Path
    collection: str

    @property
    def directory(self) -> Path:
        return self.store / "collections" / self.collection

    @property
    def writer_lock(self) -> Path:
        return self.directory / WRITER_LOCK

    @property
    def _current_file(self) -> Path:
        return self.directory / _CURRENT

    def epoch_directory(self, epoch: str) -> Path:
        return self.directory / epoch

    def catalog(self, epoch: str) -> Path:
        return self.epoch_directory(epoch) / "catalog.sqlite3"

    def vectors(self, epoch: str) -> Path:
        return self.epoch_directory(epoch) / "vectors"

    def active_epoch(self) -> "ActiveEpoch | None":
        """The active epoch; None if nothing has been ingested into the collection. Raises StoreError."""
        try:
            return _active_epoch(json.loads(read_regular_file(self._current_file, _MAX_CURRENT_BYTES)))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise self._not_a_directory() from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            if isinstance(error, OSError) and (refused := refusal(self.store, error)):
                raise refused from error
            why = (isinstance(error, OSError) and error.strerror) or str(error)
            raise StoreError(
                f"{self._current_file} is damaged: {why}",
                code="store_damaged",
                hint="streamrag ingest --rebuild PATH",
            ) from error

    def activate(self, active: "ActiveEpoch") -> None:
        """Activate an epoch atomically: after a power failure, either the former or the new epoch is active."""
        fresh = self._current_file.with_suffix(".new")
        fresh.unlink(missing_ok=True)  # left by a killed process; or a link, whose target would be overwritten
        with fresh.open("x", encoding="utf-8") as file:
            json.dump({"epoch": active.epoch, "roots": list(active.roots)}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._current_file)

    def new_epoch(self) -> str:
        """Create the directory of a new epoch and return its name.

        Names are never reused, because a reader may still have an epoch of a removed collection open.
        """
        epoch = f"{_EPOCH_PREFIX}{secrets.token_hex(6)}"
        self.vectors(epoch).mkdir(parents=True)
        return epoch

    def remove_other_epochs(self, *names: str) -> None:
        """Remove all epochs except `names`. Epochs that readers still use stay until the next writer removes them."""
        for each in self.directory.iterdir():
            if EPOCH_NAME.fullmatch(each.name) and each.name not in names:
                with suppress(OSError), try_exclusive(each) as free:
                    if free:
                        remove_own_files(self.directory, below=each.name)

    def remove(self) -> list[Path]:
        """Remove the collection. The caller must hold its writer lock. Readers keep the files that they have open.

        Returns the entries that are kept, because the store did not create them. If the collection's directory
        is a symbolic link, only the link is removed.
        """
        if self.directory.is_symlink():
            target = self.directory.resolve()
            self.directory.unlink()
            return [target]
        with suppress(IsADirectoryError, PermissionError):
            self._current_file.unlink(missing_ok=True)
        left = remove_own_files(self.directory, keep=WRITER_LOCK)
        self.writer_lock.unlink()
        with suppress(OSError):
            self.directory.rmdir()  # another ingest may have created files in the meantime
        return left

    def has_remains(self) -> bool:
        """Whether an interrupted removal of the collection left epochs behind."""
        try:
            names = [each.name for each in self.directory.iterdir()]
        except OSError:
            return False
        return _CURRENT not in names and any(map(EPOCH_NAME.fullmatch, names))

    def make(self) -> None:
        """Create the collection's directory and those above it in the store, accessible only to their owner.

        Raises UsageError `store_in_collection` if the store would be inside another store's collection, because
        removing that collection would remove the store.
        """
        real = Path(os.path.realpath(self.store))
        if around := next(filter(_is_collection, (real, *real.parents)), None):
            raise UsageError(
                f"{self.store} is inside another store's collection, {around}",
                code="store_in_collection",
                hint="choose a directory outside that store: --store DIR, or --to DIR for streamrag copy",
            )
        try:
            for each in (self.store, self.directory.parent, self.directory):
                each.mkdir(parents=True, exist_ok=True, mode=0o700)  # the mode applies only to the last part
        except (FileExistsError, NotADirectoryError):
            raise self._not_a_directory() from None

    def _not_a_directory(self) -> StoreError:
        return StoreError(
            f"{self.store} is not a directory", code="store_not_a_directory", hint="streamrag ingest --store DIR PATH"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveEpoch:
    """The name of the active epoch, and the absolute paths or addresses that were ingested into it."""

    epoch: str
    roots: tuple[str, ...]


def _active_epoch(fields: Any) -> ActiveEpoch:
    """Parse the fields in `current.json`. Raises ValueError, KeyError or TypeError if a field is invalid."""
    epoch, roots = fields["epoch"], fields["roots"]
    if not isinstance(epoch, str) or not EPOCH_NAME.fullmatch(epoch):
        raise ValueError("the name of the epoch is not valid")
    if not isinstance(roots, list) or not all(map(is_stored_path, roots)):
        raise ValueError("a recorded path is not valid")
    return ActiveEpoch(epoch=epoch, roots=tuple(roots))


def collections(store: Path) -> list[str]:
    """The names of the collections in a store, sorted. Raises StoreError if the store cannot be read."""
    try:
        with os.scandir(store / "collections") as entries:
            named = (each for each in entries if is_collection_name(each.name))
            return sorted(each.name for each in named if _exists(Path(each.path, _CURRENT)))
    except OSError as error:
        if refused := refusal(store, error):
            raise refused from error
        return []


def _is_collection(directory: Path) -> bool:
    return directory.parent.name == "collections" and (directory / _CURRENT).is_file()


def _exists(file: Path) -> bool:
    """Whether `file` exists. Unlike `Path.exists`, this raises OSError if it cannot be determined."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
