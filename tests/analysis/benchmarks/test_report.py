import pytest

from mmp2seg.analysis.benchmarks.measuring import Measurement
from mmp2seg.analysis.benchmarks.report import (
    Row,
    format_seconds,
    make_table,
    time_ratio,
    times_as_fast,
    times_as_long,
)

FAST, SLOW = Measurement((0.010, 0.012, 0.014), 80.4), Measurement((3.0,), 1800)
FAILED = Measurement(())


@pytest.mark.parametrize(
    ('seconds', 'text'), [(0.01234, '12.3 ms'), (1.0, '1.00 s'), (0.0004, '0.4 ms'), (None, '-')]
)
def test_seconds(seconds, text):
    assert format_seconds(seconds) == text


def test_ratios_are_of_medians():
    assert time_ratio(SLOW, FAST) == pytest.approx(250)
    assert times_as_fast(FAST, SLOW, 'dense') == '250.0 times as fast as dense'
    assert times_as_long(SLOW, FAST, 'it') == '250.00 times it'


def test_what_could_not_be_measured_is_compared_with_nothing():
    assert times_as_fast(FAST, FAILED, 'dense') == times_as_long(FAILED, FAST, 'it') == ''


def test_table():
    rows = [Row('a', 'one', FAST, 'half'), Row('a', 'two', FAILED)]
    lines = make_table(rows).splitlines()
    assert lines[0].split('|')[1].strip() == 'what'
    cells = [[cell.strip() for cell in line.split('|')[1:-1]] for line in lines[2:]]
    assert cells == [
        ['one', '12.0 ms', '10.0 ms', '80 MiB', 'half'],
        ['two', 'out of memory', '-', '-', ''],
    ]


def test_plain_values():
    values = Row('a', 'one', FAST, 'half').as_dict()
    assert values['median_seconds'] == 0.012
    assert values['extra_memory_mib'] == 80.4
    assert Row('a', 'two', FAILED).as_dict()['median_seconds'] is None
