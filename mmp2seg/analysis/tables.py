"""Markdown tables, counts, and means with their spread."""

import statistics
from collections.abc import Sequence


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table with padded columns, the first one aligned to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows)]
    rule = ['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])]
    lines = [
        [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        for row in (head, rule, *rows)
    ]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


def format_count(number: int, noun: str, plural: str | None = None) -> str:
    """``(1, 'image')`` -> ``'1 image'``, ``(2, 'image')`` -> ``'2 images'``."""
    return f'{number} {noun if number == 1 else plural or noun + "s"}'


def mean_and_spread(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Return mean and sample standard deviation (n - 1), None for too few values."""
    mean = statistics.fmean(values) if values else None
    return mean, statistics.stdev(values) if len(values) > 1 else None


def format_mean(values: Sequence[float], *, sign: bool = False) -> str:
    """``[0.61, 0.63]`` -> ``'62.0 ± 1.4'``, in percent; '-' without values.

    Args:
        sign: also write the sign of a positive mean, for differences.
    """
    mean, spread = mean_and_spread(values)
    if mean is None:
        return '-'
    text = f'{100 * mean:{"+" if sign else ""}.1f}'
    return text if spread is None else f'{text} ± {100 * spread:.1f}'
