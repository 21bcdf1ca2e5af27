"""File names for users: paths that can be opened from the current directory."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from streamrag_cli.addresses import Location, is_address, shown_address


def name_of_copy(copy: str, original: str) -> str:
    """Return a short name for a near-duplicate: only its folder if the original has the same file name and top folder.

    >>> name_of_copy("docs/v2/install.md", "docs/v1/install.md"), name_of_copy("~/old/a.md", "docs/a.md")
    ('docs/v2', '~/old/a.md')
    """
    if is_address(copy):
        return copy
    file, other = PurePosixPath(copy), PurePosixPath(original)
    root = 2 if file.parts[0] in {"/", "~"} else 1
    differs_only_in_folder = file.name == other.name and file.parts[:root] == other.parts[:root]
    return str(file.parent if differs_only_in_folder else file)


def public_name(source: str) -> str:
    """Return the name of a source for other machines: an absolute path is cut to its last folder and the file name.

    >>> public_name("docs/guide/install.md"), public_name("/srv/private/docs/install.md")
    ('docs/guide/install.md', 'docs/install.md')
    """
    file = PurePosixPath(source)
    return "/".join(file.parts[1:][-2:]) if file.is_absolute() else source


@dataclass(frozen=True, slots=True)
class DisplayNames:
    """Shows paths relative to the working directory `directory` or the home directory `home`; either may be None.

    Addresses are shortened (`shown_address`).

    >>> names = DisplayNames(Path("/home/ada/work"), Path("/home/ada"))
    >>> [names.of(each) for each in ("/home/ada/work/docs/a.md", "/home/ada/x/docs/a.md", "/srv/docs/a.md")]
    ['docs/a.md', '~/x/docs/a.md', '/srv/docs/a.md']
    """

    directory: Path | None
    home: Path | None

    def typed(self, path: str | Location) -> str:
        """Return the path as a command argument: absolute instead of `~/...`, because a quoted `~` is not expanded."""
        if is_address(name := str(path)) and not name.startswith("stdin:"):
            return name
        shown = self.of(path)
        return str(path) if shown.startswith("~/") else f"./{shown}" if shown.startswith("-") else shown

    def of(self, path: str | Location) -> str:
        """Return the display name of an absolute path or an address."""
        if is_address(name := str(path)):
            return shown_address(name)
        file = PurePosixPath(name)
        for base, prefix in ((self.directory, ""), (self.home, "~/")):
            if base is not None and str(base) not in {"/", str(file)} and file.is_relative_to(base):
                return f"{prefix}{file.relative_to(base)}"
        return str(file)
