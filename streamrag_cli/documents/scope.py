"""A part of folders: some paths, which have changed, and everything below them."""

from collections.abc import Collection, Iterable
from pathlib import PurePath


class Scope:
    """The absolute `paths` and everything below them. An empty scope contains nothing.

    `has_links` is set by discovery if a path of the scope is a link. What such a link leads to depends on the rest of
    the folder, so it is not followed; discover the whole folder instead.
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
        """The names of the entries of a directory that lead into the scope; None if it contains the whole directory.

        >>> scope = Scope(["/docs/guide/a.md", "/docs/new"])
        >>> sorted(scope.names_in("/docs") or ()), scope.names_in("/docs/new/deeper")
        (['guide', 'new'], None)
        """
        return self._names.get(directory, None if self.contains(directory) else ())

    def contains(self, path: str) -> bool:
        """Whether the path is one of the paths of the scope or below one."""
        return self.top_of(path) is not None

    def top_of(self, path: str) -> str | None:
        """The path of the scope that contains `path`, if any."""
        at = path
        while at not in self._distinct:
            if at in {"/", ""}:
                return None
            at = at.rpartition("/")[0] or "/"
        return at

    def concerns(self, root: str) -> bool:
        """Whether anything at or below `root` is in the scope."""
        return root in self._names or self.contains(root)
