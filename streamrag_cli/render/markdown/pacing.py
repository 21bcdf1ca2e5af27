"""When to draw: at most 20 frames a second, and no frame later than 50 ms after the text that it shows."""

from typing import Final

FRAME_S: Final = 0.05


def due_s(*, last_frame_s: float | None, now_s: float) -> float:
    """When text that came at `now_s` is to be drawn: at once, unless the last frame is too young.

    >>> due_s(last_frame_s=None, now_s=7.0), due_s(last_frame_s=5.0, now_s=7.0), due_s(last_frame_s=7.0, now_s=7.01)
    (7.0, 7.0, 7.05)
    """
    return now_s if last_frame_s is None else max(now_s, last_frame_s + FRAME_S)
