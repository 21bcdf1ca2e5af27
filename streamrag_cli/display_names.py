"""What a file is called for a person: a path that opens from where they stand."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath


def name_of_copy(copy: str, original: str) -> str:
    """A short name for a copy that is shown with the original: its folder, if only that is another in the same root.

    >>> name_of_copy("docs/v2/install.md", "docs/v1/install.md"), name_of_copy("~/old/a.md", "docs/a.md")
    ('docs/v2', '~/old/a.md')
    """
    file, other = PurePosixPath(copy), PurePosixPath(original)
    root = 2 if file.parts[0] in {"/", "~"} else 1
    is_beside = file.name == other.name and file.parts[:root] == other.parts[:root]
    return str(file.parent if is_beside else file)


@dataclass(frozen=True, slots=True)
class DisplayNames:
    """Names for a person in `directory`, whose home is `home`; either is None if there is none.

    >>> names = DisplayNames(Path("/home/ada/work"), Path("/home/ada"))
    >>> [names.of(each) for each in ("/home/ada/work/docs/a.md", "/home/ada/x/docs/a.md", "/srv/docs/a.md")]
    ['docs/a.md', '~/x/docs/a.md', '/srv/docs/a.md']
    """

    directory: Path | None
    home: Path | None

    def typed(self, path: str | Path) -> str:
        """The path as an argument of a command: `~` would not lead home inside quotation marks."""
        shown = self.of(path)
        return str(path) if shown.startswith("~/") else f"./{shown}" if shown.startswith("-") else shown

    def of(self, path: str | Path) -> str:
        """`path` is absolute."""
        file = PurePosixPath(path)
        for base, prefix in ((self.directory, ""), (self.home, "~/")):
            if base is not None and str(base) not in {"/", str(file)} and file.is_relative_to(base):
                return f"{prefix}{file.relative_to(base)}"
        return str(file)
