"""Limits discovery to some paths and everything below them, for example to the paths that have changed."""

from collections.abc import Collection, Iterable
from pathlib import PurePath


class Scope:
    """The absolute `paths` and everything below them. An empty scope contains nothing.

    Discovery sets `has_links` if it finds a link in the scope. It does not follow that link, because whether the target
    is a duplicate depends on the rest of the folder. The caller must then discover the whole folder.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.has_links = False
        distinct = {path.rstrip("/") or "/" for path in paths}
        self.tops = sorted(path for path in distinct if distinct.isdisjoint(map(str, PurePath(path).parents)))
        self._distinct = frozenset(self.tops)
        self._names: dict[str, set[str]] = {}
        for top in self.tops:
            child = PurePath(top)
            for parent in child.parents:
                self._names.setdefault(str(parent), set()).add(child.name)
                child = parent

    def names_in(self, directory: str) -> Collection[str] | None:
        """Return the names of entries in `directory` that lead into the scope; None if the scope contains all of them.

        >>> scope = Scope(["/docs/guide/a.md", "/docs/new"])
        >>> sorted(scope.names_in("/docs") or ()), scope.names_in("/docs/new/deeper")
        (['guide', 'new'], None)
        """
        return self._names.get(directory, None if self.contains(directory) else ())

    def contains(self, path: str) -> bool:
        """Whether `path` is one of the scope's paths or is below one of them."""
        return self.top_of(path) is not None

    def top_of(self, path: str) -> str | None:
        """Return the scope's path that is equal to `path` or above it, or None."""
        at = path
        while at not in self._distinct:
            if at in {"/", ""}:
                return None
            at = at.rpartition("/")[0] or "/"
        return at

    def concerns(self, root: str) -> bool:
        """Whether anything at or below `root` is in the scope."""
        return root in self._names or self.contains(root)
