"""Counts the files that an ingest skipped, by kind."""

from collections import Counter
from typing import Final

from streamrag_cli.counting import counted_noun
from streamrag_cli.events import IngestDone

_SHOWN: Final = 5
_BY_CODE: Final = {
    "secret": "possible secret",
    "hidden": "hidden|hidden",
    "gitignored": "ignored by git|ignored by git",
    "streamragignored": "ignored by .streamragignore|ignored by .streamragignore",
    "excluded": "excluded|excluded",
    "generated": "generated or vendored|generated or vendored",
    "photo": "photo",
    "binary": "binary file",
    "duplicate": "symlink",
    "outside_root": "symlink",
    "broken_link": "symlink",
    "not_a_regular_file": "special file",
    "link_in_repository": "symlink",
    "submodule": "submodule",
    "lfs_pointer": "Git LFS file",
    "robots": "page that robots.txt does not allow|pages that robots.txt does not allow",
    "same_page": "duplicate page",
    "outside_address": "redirect to another address|redirects to another address",
    "dead_link": "dead link",
}
"""The noun to count for each reason code. The plural ends in -s unless it is given after a bar."""
_BY_SUFFIX: Final = {
    suffix: noun
    for noun, suffixes in {
        "image": "png jpg jpeg gif webp svg bmp ico tif tiff heic avif psd eps ai",
        "audio file": "mp3 wav ogg flac m4a aac opus",
        "video": "mp4 mov avi mkv webm m4v",
        "archive": "zip gz tar tgz bz2 xz zst 7z rar jar whl deb rpm",
        "spreadsheet": "xls xlsb numbers",
        "presentation": "ppt key",
        "font": "ttf otf woff woff2 eot",
        "e-book": "mobi azw azw3 fb2",
        "word processor file": "doc pages wpd",
        "database": "db sqlite sqlite3 mdb parquet",
        "program": "exe dll so dylib bin o a pyc class wasm app msi",
    }.items()
    for suffix in suffixes.split()
}


def skipped_line(done: IngestDone) -> str:
    """Return the numbers of skipped files by kind as one line; "" if no file was skipped.

    >>> done = IngestDone(counts={"skipped": 6}, chunks_written=0, chunks=0, elapsed_ms=1.0, dry_run=False,
    ...     skipped={"unsupported": 5, "hidden": 1}, unsupported={".png": 2, ".jpg": 1, ".xyz": 2})
    >>> skipped_line(done)
    'Skipped 6: 3 images, 2 .xyz files, 1 hidden'
    """
    nouns: Counter[str] = Counter()
    for code, count in done.skipped.items():
        if code == "unsupported":
            for suffix, files in done.unsupported.items():
                nouns[_noun_for(suffix)] += files
            nouns["unsupported file"] += count - sum(done.unsupported.values())
            continue
        nouns[_BY_CODE.get(code, f"{code.replace('_', ' ')} file")] += count
    counted = [(noun, count) for noun, count in nouns.most_common() if count]
    shown = counted if len(counted) <= _SHOWN else counted[: _SHOWN - 1]
    parts = [counted_noun(count, *noun.split("|")) for noun, count in shown]
    if rest := sum(count for _, count in counted[len(shown) :]):
        parts.append(f"{rest:,} other")
    return f"Skipped {sum(done.skipped.values()):,}: {', '.join(parts)}" if parts else ""


def _noun_for(suffix: str) -> str:
    if not suffix:
        return "file without a suffix|files without a suffix"
    return _BY_SUFFIX.get(suffix.removeprefix("."), f"{suffix} file")


def secrets_line(done: IngestDone, *, is_listed: bool = False) -> str:
    """Return a note about files that were withheld as possible secrets; "" if there are none.

    `is_listed` is True if their names were printed.
    """
    count = done.skipped.get("secret", 0)
    if not count:
        return ""
    if count == 1:
        note, it, them = "1 file was withheld as a possible secret", "it", "it"
    else:
        note, it, them = f"{count:,} files were withheld as possible secrets", "one", "them"
    how = f"to ingest {it}, pass its path" if is_listed else f"list {them} with -v, or ingest {it} by passing its path"
    return f"note: {note}; {how}: streamrag ingest FILE"
