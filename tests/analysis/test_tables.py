import pytest

from mmp2seg.analysis.tables import format_count, format_mean, format_table, mean_and_spread


def test_table_by_hand():
    assert format_table(('', 'all', 'b'), [('name', '1', '2.25'), ('n', '', '-')]).splitlines() == [
        '|      | all |    b |',
        '| ---- | --: | ---: |',
        '| name |   1 | 2.25 |',
        '| n    |     |    - |',
    ]


def test_mean_and_spread_by_hand():
    # deviations -1, 0, 1: the variance of a sample of three is 2 / 2
    assert mean_and_spread([1.0, 2.0, 3.0]) == pytest.approx((2.0, 1.0))
    assert mean_and_spread([0.5]) == (0.5, None)
    assert mean_and_spread([]) == (None, None)


@pytest.mark.parametrize(
    ('values', 'sign', 'text'),
    [
        ([0.61, 0.62, 0.63], False, '62.0 ± 1.0'),
        ([0.5], False, '50.0'),
        ([0.01, 0.03], True, '+2.0 ± 1.4'),
        ([-0.01], True, '-1.0'),
        ([], True, '-'),
    ],
)
def test_format_mean(values, sign, text):
    assert format_mean(values, sign=sign) == text


def test_format_count():
    assert [format_count(n, 'map') for n in (0, 1, 2)] == ['0 maps', '1 map', '2 maps']
    assert format_count(2, 'class', 'classes') == '2 classes'
