"""Rows of the benchmark, as a table and as json."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmp2seg.analysis.benchmarks.measuring import Measurement
from mmp2seg.analysis.tables import format_table

HEAD = ('what', 'median', 'fastest', 'extra memory', 'compared')
_FAILED = 'out of memory'


@dataclass(frozen=True)
class Row:
    """A measurement: its part, what was measured, and a comparison with another measurement."""

    part: str
    what: str
    measurement: Measurement
    compared: str = ''

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        found = self.measurement
        median = _FAILED if found.median is None else format_seconds(found.median)
        return (
            self.what,
            median,
            format_seconds(found.fastest),
            '-' if found.memory_mb is None else f'{found.memory_mb:.0f} MiB',
            self.compared,
        )

    def as_dict(self) -> dict:
        """Return plain values for json."""
        found = self.measurement
        return dict(
            part=self.part,
            what=self.what,
            seconds=list(found.seconds),
            median_seconds=found.median,
            extra_memory_mib=found.memory_mb,
            compared=self.compared,
        )


def make_table(rows: Sequence[Row]) -> str:
    """Return a Markdown table."""
    return format_table(HEAD, [row.cells() for row in rows])


def format_seconds(seconds: float | None) -> str:
    """``0.0123`` -> ``'12.3 ms'``; '-' for None."""
    if seconds is None:
        return '-'
    return f'{seconds:.2f} s' if seconds >= 1 else f'{1000 * seconds:.1f} ms'


def times_as_fast(found: Measurement, reference: Measurement, name: str) -> str:
    """Say how many times as fast as the reference; empty if either has no time."""
    ratio = time_ratio(reference, found)
    return '' if ratio is None else f'{ratio:.1f} times as fast as {name}'


def times_as_long(found: Measurement, reference: Measurement, name: str) -> str:
    """Say how many times as long as the reference; empty if either has no time."""
    ratio = time_ratio(found, reference)
    return '' if ratio is None else f'{ratio:.2f} times {name}'


def time_ratio(found: Measurement, reference: Measurement) -> float | None:
    """Return the ratio of the medians; None if either has no time."""
    if found.median is None or reference.median is None:
        return None
    return found.median / reference.median
