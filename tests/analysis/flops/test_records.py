import pytest

from mmp2seg.analysis.flops.records import FlopsCase, NetworkCost, PartCost


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(phase='val'), "expected phase in .*, got 'val'"),
        (dict(points=0), 'expected points >= 1, got 0'),
        (dict(batch=0), 'expected batch >= 1, got 0'),
        (dict(shape=(0, 32)), r'got \(0, 32\)'),
        (dict(rounds=(1, -1)), r'expected rounds >= 0, got \[1, -1\]'),
        (dict(rounds=()), r'got \[\]'),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        FlopsCase('config.py', **options)


def test_a_multiply_add_is_two_operations():
    part = PartCost('backbone', params=3, macs=10, elementwise=4)
    assert part.flops == 24
    assert part.as_dict()['flops'] == 24


def test_parts_by_name():
    parts = tuple(PartCost(name, 0, 1, 0) for name in ('a', 'b'))
    cost = NetworkCost('n', (32, 32), None, 3, 0, parts)
    assert cost.part('b') is parts[1]
    assert [part['name'] for part in cost.as_dict()['parts']] == ['a', 'b']
