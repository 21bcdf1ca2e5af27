"""Where a collection's files lie, and which of them count.

    STORE/collections/NAME/
        current.json       which epoch counts, and the roots that were ingested
        writer.lock        held by the one process that writes
        EPOCH/catalog.sqlite3
        EPOCH/vectors/     Chroma's directory

A rebuild fills a new epoch and then replaces `current.json` in one step, so whatever interrupts it, the
collection is either the old one or the new one.
"""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streamrag_cli.errors import StoreError

_FINGERPRINTED_BYTES: Final = 65536
# Chroma saves an index from its thousandth vector on; before, its files are blanks, and differ each time it is opened.
_SAVED: Final = "*/index_metadata.pickle"


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one collection."""

    store: Path
    collection: str

    @property
    def directory(self) -> Path:
        return self.store / "collections" / self.collection

    @property
    def _current_file(self) -> Path:
        return self.directory / "current.json"

    def catalog(self, epoch: str) -> Path:
        return self.directory / epoch / "catalog.sqlite3"

    def vectors(self, epoch: str) -> Path:
        return self.directory / epoch / "vectors"

    def current(self) -> "Current | None":
        """What counts now, or None where nothing was ever ingested."""
        try:
            said = json.loads(self._current_file.read_text(encoding="utf-8"))
            return Current(epoch=str(said["epoch"]), roots=tuple(map(str, said["roots"])))
        except FileNotFoundError:
            return None
        except NotADirectoryError:
            raise self._not_a_directory() from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self._current_file} is damaged: {error}",
                code="store_damaged",
                hint="streamrag ingest --rebuild PATH",
            ) from error

    def make_current(self, current: "Current") -> None:
        """Replace what counts, in one step that survives a power cut."""
        fresh = self._current_file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump({"epoch": current.epoch, "roots": list(current.roots)}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._current_file)

    def new_epoch(self) -> str:
        """Make the directory of an epoch that does not exist yet, and return its name."""
        numbers = [int(each.name) for each in self._epochs()]
        epoch = f"{max(numbers, default=0) + 1:04d}"
        self.vectors(epoch).mkdir(parents=True)
        return epoch

    def remove_epochs_but(self, epoch: str) -> None:
        for each in self._epochs():
            if each.name != epoch:
                shutil.rmtree(each, ignore_errors=True)

    def make(self) -> None:
        """Make the collection's directory, readable by its owner alone."""
        try:
            self.store.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except (FileExistsError, NotADirectoryError):
            raise self._not_a_directory() from None

    def _epochs(self) -> list[Path]:
        return [each for each in self.directory.iterdir() if each.is_dir() and each.name.isdigit()]

    def _not_a_directory(self) -> StoreError:
        return StoreError(
            f"{self.store} is not a directory", code="store_not_a_directory", hint="streamrag ingest --store DIR PATH"
        )

    def fingerprint(self, epoch: str) -> str:
        """Sizes and edges of Chroma's index files, enough to notice a truncated or overwritten one.

        Chroma reads a damaged index without complaint, or dies of it, so it is not asked.
        """
        seen = hashlib.sha256()
        for file in sorted(each for saved in self.vectors(epoch).glob(_SAVED) for each in saved.parent.iterdir()):
            size = file.stat().st_size
            seen.update(f"{file.name} {size}\n".encode())
            with file.open("rb") as data:
                seen.update(data.read(_FINGERPRINTED_BYTES))
                data.seek(max(0, size - _FINGERPRINTED_BYTES))
                seen.update(data.read(_FINGERPRINTED_BYTES))
        return seen.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """Which epoch counts, and the absolute paths that were ingested into it."""

    epoch: str
    roots: tuple[str, ...]


def collections(store: Path) -> list[str]:
    """The names of the collections in a store, sorted."""
    try:
        return sorted(each.parent.name for each in (store / "collections").glob("*/current.json"))
    except OSError:
        return []
