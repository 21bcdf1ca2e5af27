"""Formats counted nouns, rounded numbers and estimated durations."""


def counted_noun(count: int, noun: str, plural: str = "") -> str:
    """Return the count with the noun. Pass `plural` if the plural is not the noun with an added -s.

    >>> counted_noun(1, "file"), counted_noun(1403, "file"), counted_noun(2, "entry", "entries")
    ('1 file', '1,403 files', '2 entries')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def rounded(count: int) -> int:
    """Round a count to two significant digits.

    >>> [rounded(each) for each in (7, 345, 37_812)]
    [7, 340, 38000]
    """
    unit: int = 10 ** max(0, len(str(count)) - 2)
    return round(count / unit) * unit


def rough_time(seconds: float) -> str:
    """Format a duration with the precision of an estimate.

    >>> [rough_time(each) for each in (4, 47, 170, 1190, 9000)]
    ['5 s', '50 s', '3 min', '20 min', '2.5 h']
    """
    if seconds < 57.5:
        step = 5 if seconds < 30 else 10
        return f"{max(step, round(seconds / step) * step)} s"
    minutes = seconds / 60
    return f"{max(1, round(minutes))} min" if minutes < 90 else f"{minutes / 60:.1f} h".replace(".0 h", " h")
