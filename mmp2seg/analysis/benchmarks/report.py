"""Rows of the benchmark, as a table and as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass

from mmp2seg.analysis.benchmarks.measuring import Measurement
from mmp2seg.analysis.tables import format_table

HEAD = ('what', 'median', 'fastest', 'extra memory', 'compared')
_FAILED = 'out of memory'


@dataclass(frozen=True)
class Row:
    """A measurement: what was measured in which part, and what it says beside another one."""

    part: str
    what: str
    measurement: Measurement
    compared: str = ''

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
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
        """Plain values for a json."""
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
    """All rows in Markdown."""
    return format_table(HEAD, [row.cells() for row in rows])


def format_seconds(seconds: float | None) -> str:
    """``0.0123`` -> ``'12.3 ms'``; '-' for None."""
    if seconds is None:
        return '-'
    return f'{seconds:.2f} s' if seconds >= 1 else f'{1000 * seconds:.1f} ms'


def times_as_fast(found: Measurement, reference: Measurement, name: str) -> str:
    """How many times as fast as the reference; empty if either was not measured."""
    ratio = time_ratio(reference, found)
    return '' if ratio is None else f'{ratio:.1f} times as fast as {name}'


def times_as_long(found: Measurement, reference: Measurement, name: str) -> str:
    """How many times the reference's time; empty if either was not measured."""
    ratio = time_ratio(found, reference)
    return '' if ratio is None else f'{ratio:.2f} times {name}'


def time_ratio(found: Measurement, reference: Measurement) -> float | None:
    """Ratio of the medians."""
    if found.median is None or reference.median is None:
        return None
    return found.median / reference.median
