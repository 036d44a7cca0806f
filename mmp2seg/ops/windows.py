"""Windows of a frame that overlap, for work whose memory must not grow with the frame."""

from collections.abc import Iterator

# Rows and columns.
Box = tuple[slice, slice]


def overlapping_windows(
    height: int, width: int, side: int, overlap: int, *, step: int = 1, single: float = 1.0
) -> Iterator[tuple[Box, Box]]:
    """Yield the windows of a frame, each without and with its overlap, in row order.

    The windows without overlap cover the frame once. Their sides are about equal, at most ``side``
    but for the rounding up to a multiple of ``step``.

    Args:
        height, width: of the frame, at least 1.
        side: largest side without overlap.
        overlap: pixels that a window is enlarged by on each side, inside the frame.
        step: every window without overlap begins at a multiple of it.
        single: a direction up to ``single * side`` long is not cut.
    """

    def cut(length: int) -> list[tuple[slice, slice]]:
        if length <= single * side:
            return [(slice(0, length), slice(0, length))]
        size = -(-length // -(-length // side))
        size = -(-size // step) * step
        return [
            (
                slice(start, min(start + size, length)),
                slice(max(0, start - overlap), min(start + size + overlap, length)),
            )
            for start in range(0, length, size)
        ]

    for core_rows, window_rows in cut(height):
        for core_columns, window_columns in cut(width):
            yield (core_rows, core_columns), (window_rows, window_columns)
