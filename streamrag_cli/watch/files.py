"""Detects changes to the files below the watched roots: with inotify, by polling, or both."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

from streamrag_cli.documents.discover import discover
from streamrag_cli.documents.discovery_results import DiscoveryResult, FoundFile
from streamrag_cli.documents.gitignore import GIT_IGNORE_FILE, OWN_IGNORE_FILE
from streamrag_cli.documents.scope import Scope
from streamrag_cli.documents.secret_names import is_about_a_hidden_file
from streamrag_cli.missing_files import is_missing
from streamrag_cli.watch.inotify import Changed, Inotify, NoWatchesLeftError
from streamrag_cli.watch.snapshot import IGNORE_FILES, Snapshot

Method: TypeAlias = Literal["inotify", "polling"]
_NETWORK: Final = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afs|ceph|gfs2|glusterfs|lustre|9p|virtiofs|vboxsf|prl_fs|davfs|fuse(\..*)?"
)
"""Types of file systems for which the kernel does not report changes by other machines."""
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class WatchedFiles:
    """Watches the files below `roots`. Changes below the `own` paths, such as the store, are never reported."""

    def __init__(
        self,
        roots: Sequence[Path],
        *,
        named: Sequence[Path],
        own: Sequence[Path],
        exclude: Sequence[str],
        environment: Mapping[str, str] | None,
        polls: bool,
    ) -> None:
        self.roots = tuple(roots)
        self._named = frozenset(named)
        self._own = tuple(os.path.realpath(each) for each in own)
        self._exclude = exclude
        self._environment = environment
        self._inotify: Inotify | None = None
        self._snapshot = Snapshot()
        self._outside = Snapshot()
        """The roots and the ignore files above them, which are compared often because they are few."""
        self.polls_on_request = polls
        self.why_polling: NoWatchesLeftError | None = None
        if not polls:
            self._start_inotify()

    def _start_inotify(self) -> None:
        try:
            self._inotify = Inotify()
            self.why_polling = None
        except NoWatchesLeftError as error:
            self.why_polling = error

    @property
    def method(self) -> Method:
        return "inotify" if self._inotify else "polling"

    @property
    def directories(self) -> int:
        return len(self._snapshot)

    def fileno(self) -> int | None:
        return self._inotify.fileno() if self._inotify else None

    def close(self) -> None:
        if self._inotify:
            self._inotify.close()
            self._inotify = None

    def existing_roots(self) -> list[Path]:
        return [root for root in self.roots if not is_missing(root)]

    def is_on_network(self) -> bool:
        """Whether a root is on a network drive, for which changes by other machines cause no events."""
        return any(_NETWORK.fullmatch(_file_system(root)) for root in self.roots)

    def register(self, scope: Scope | None = None) -> list[DiscoveryResult]:
        """Watch the files and directories that discovery finds in the existing roots, or only in `scope`.

        Returns the discovery results for a scope, and an empty list for whole roots, because no caller needs all
        files. If no watches are left, later changes are detected by polling. Raises the errors that `discover` raises.
        """
        if scope is None:
            self._snapshot.clear()
            self._outside.clear()
            for root in self.roots:
                self._watch_around(root)
        try:
            return self._register(scope)
        except NoWatchesLeftError as error:
            self.close()
            self.why_polling = error
            return self._register(scope)

    def _register(self, scope: Scope | None) -> list[DiscoveryResult]:
        roots = self.existing_roots()
        discovered = discover(
            roots,
            exclude=self._exclude,
            environment=self._environment,
            recorded=[root for root in roots if root not in self._named],
            scope=scope,
            entered=self._enter,
        )
        results: list[DiscoveryResult] = []
        for result in discovered:
            if isinstance(result, FoundFile) and os.path.dirname(result.real) not in self._snapshot:  # noqa: PTH120
                self._snapshot.take(result.real)  # a root, or reached by a link from elsewhere
                if self._inotify:
                    self._inotify.watch_entry(result.real, result.name)
            if scope is not None:
                results.append(result)
        return results

    def _enter(self, path: str, real: str) -> None:
        if self._is_own(real):
            return
        if self._inotify:
            self._inotify.watch_directory(path, real)
        self._snapshot.take(real)

    def _watch_around(self, root: Path) -> None:
        """Watch the ignore files above the root and, if the root is a file or a link, its folder."""
        if self._inotify and (root.is_symlink() or not root.is_dir()):
            with suppress(OSError):
                self._inotify.watch_entry(f"{os.path.realpath(root.parent)}/{root.name}", str(root))
        self._outside.take_identity(str(root))
        real = Path(os.path.realpath(root))
        self._outside.take(str(real / ".git" / "info" / "exclude"))
        in_work_tree = not (real / ".git").exists()
        for parent in real.parents:
            self._outside.take(str(parent / OWN_IGNORE_FILE))
            if in_work_tree:
                self._outside.take(str(parent / GIT_IGNORE_FILE))
                self._outside.take(str(parent / ".git" / "info" / "exclude"))
                in_work_tree = not (parent / ".git").exists()

    def read(self) -> Iterator[Changed]:
        """Yield the changes that inotify has reported, except in hidden files and in the store."""
        for changed in self._inotify.read() if self._inotify else ():
            name = changed.path.rpartition("/")[2]
            is_hidden = name.startswith(".") and name not in IGNORE_FILES and not is_about_a_hidden_file(name)
            if (is_hidden and Path(changed.path) not in self.roots) or self._is_own(changed.path):
                continue
            yield changed

    def _is_own(self, path: str) -> bool:
        return any(path == own or path.startswith(f"{own}/") for own in self._own)

    def has_changed(self) -> tuple[bool, float]:
        """Compare all files. Return whether any file has changed since the last call, and the duration in seconds."""
        began = time.perf_counter()
        changed = self._snapshot.changed()
        return bool(changed), time.perf_counter() - began

    def has_changed_outside(self) -> bool:
        """Whether a root was replaced, has disappeared or reappeared, or an ignore file above a root has changed."""
        return bool(self._outside.changed())

    def retry_inotify(self) -> bool:
        """Use inotify again if watches are available now and polling was not requested. Return whether it is used.

        If so, the caller must call `register`.
        """
        if self._inotify or self.polls_on_request:
            return False
        self._start_inotify()
        return self._inotify is not None


def _file_system(path: Path) -> str:
    """Return the type of the file system that contains the path; "" if it is unknown."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    real = f"{os.path.realpath(path)}/"
    types: dict[str, str] = {}
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), fields.split(" ")[4])
        types[f"{point.rstrip('/')}/"] = rest.split(" ")[0]
    return types[max((point for point in types if real.startswith(point)), key=len, default="")] if types else ""
