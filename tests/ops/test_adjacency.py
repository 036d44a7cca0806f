import numpy as np
import pytest

from mmp2seg.ops.adjacency import adjacent_same_class


@pytest.mark.parametrize(('free', 'expected'), [(0, True), (1, True), (2, False)])
def test_gap_between_two_objects(free, expected):
    instance_map = np.zeros((3, 8), np.int32)
    instance_map[:, :3] = 1
    instance_map[:, 3 + free :] = 2
    for turned in (instance_map, instance_map.T):
        assert adjacent_same_class(turned, np.array([0, 0])).tolist() == [expected, expected]


def test_diagonal_neighbours_and_another_gap():
    instance_map = np.array([[1, 0, 0], [0, 0, 0], [0, 0, 2]])
    assert adjacent_same_class(instance_map, [0, 0]).all()
    assert not adjacent_same_class(instance_map, [0, 0], gap=1).any()


def test_other_classes_do_not_count():
    instance_map = np.array([[1, 2, 3]])
    assert adjacent_same_class(instance_map, [0, 1, 0]).tolist() == [True, False, True]
    assert adjacent_same_class(instance_map, [0, 1, 2]).tolist() == [False, False, False]


def test_no_objects_and_objects_without_pixels():
    assert adjacent_same_class(np.zeros((4, 4), np.int32), []).shape == (0,)
    instance_map = np.array([[1, 3]])
    assert adjacent_same_class(instance_map, [0, 0, 0]).tolist() == [True, False, True]


def test_agrees_with_a_pairwise_computation():
    rng = np.random.default_rng(0)
    for _ in range(20):
        instance_map = np.zeros((20, 20), np.int32)
        for i in range(6):
            y, x = rng.integers(0, 17, 2)
            instance_map[y : y + 3, x : x + 3] = i + 1
        labels = rng.integers(0, 2, 6)
        pixels = [np.argwhere(instance_map == i + 1) for i in range(6)]
        expected = [
            any(
                i != j
                and labels[i] == labels[j]
                and len(pixels[i])
                and len(pixels[j])
                and np.abs(pixels[i][:, None] - pixels[j][None]).max(2).min() <= 2
                for j in range(6)
            )
            for i in range(6)
        ]
        assert adjacent_same_class(instance_map, labels).tolist() == expected
