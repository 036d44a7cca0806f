"""The fused connected parts under Triton's interpreter, against scipy and those of the CPU."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from mmp2seg.ops import components, components_fused
from mmp2seg.testing.host_waits import host_waits
from mmp2seg.testing.triton_interpreter import checks_of, interpreted_outcomes, run_checks

OUTSIDE = -1.0e6


def reference(instance_maps, points_xy):
    """Keep the parts one by one, as the docstring says."""
    kept = np.zeros_like(instance_maps)
    for instances, points, result in zip(instance_maps, points_xy, kept, strict=True):
        for number, (x, y) in enumerate(points, 1):
            parts, count = ndimage.label(instances == number, np.ones((3, 3)))
            if count == 0:
                continue
            sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
            # scipy numbers the parts by their first pixels too, but does not promise it
            firsts = [np.flatnonzero(parts == part + 1)[0] for part in range(count)]
            part = min(range(count), key=lambda part: (-sizes[part], firsts[part]))
            row, column = int(np.floor(y)), int(np.floor(x))
            if 0 <= row < parts.shape[0] and 0 <= column < parts.shape[1] and parts[row, column]:
                own = parts[row, column] - 1
                part = own if sizes[own] > 1 or sizes.max() == 1 else part
            result[parts == part + 1] = number
    return kept


def assert_as_expected(instance_maps, points_xy):
    """Compare the kernels, with blocks of some sizes, and the CPU with the reference."""
    maps = torch.as_tensor(np.array(instance_maps), dtype=torch.int32)
    points = torch.as_tensor(np.array(points_xy)).float().reshape(len(maps), -1, 2)
    before = maps.clone()
    expected = torch.from_numpy(reference(maps.numpy(), points.numpy()))
    assert torch.equal(components.keep_connected(maps, points), expected)
    for block in (64, 256):  # the interpreter is slow with small ones
        components_fused._LOOPING['BLOCK'] = components_fused._STREAMING['BLOCK'] = block
        kept = components_fused.keep_connected(maps, points)
        assert kept.dtype == torch.int32 and torch.equal(kept, expected)
    assert torch.equal(maps, before)
    return expected


def random_scene(rng, batch, height, width, count, density):
    maps = rng.integers(1, count + 1, (batch, height, width))
    if rng.random() < 0.5:  # with larger parts
        maps = maps.repeat(3, axis=1).repeat(3, axis=2)[:, :height, :width]
    maps *= rng.random(maps.shape) < density
    points = rng.uniform(-2, 2, (batch, count, 2)) + rng.random((batch, count, 2)) * [width, height]
    points[rng.random((batch, count)) < 0.2] = OUTSIDE
    return maps, points


def spiral(size):
    """A path of one pixel's width with a gap of one pixel."""
    rows = np.zeros((size, size), dtype=np.int32)
    row, column = 0, -1
    lengths = [size] + [side for side in range(size - 1, 0, -2) for _ in range(2)]
    for turn, length in enumerate(lengths):
        for _ in range(length):
            row, column = row + (0, 1, 0, -1)[turn % 4], column + (1, 0, -1, 0)[turn % 4]
            rows[row, column] = 1
    return rows


def check_parts_of_values():
    rng = np.random.default_rng(3)
    for shape in ((3, 14, 17), (1, 1, 9), (2, 11, 1)):
        maps = rng.integers(0, 3, shape)
        first, areas = components_fused.find_parts(torch.from_numpy(maps).int())
        for values, of_first, of_areas in zip(maps, first.numpy(), areas.numpy(), strict=True):
            expected, sizes = np.full_like(values, -1), np.zeros_like(values)
            for value in (1, 2):
                parts, count = ndimage.label(values == value, np.ones((3, 3)))
                for part in range(1, count + 1):
                    place = np.flatnonzero(parts == part)[0]
                    expected[parts == part] = place
                    sizes.flat[place] = (parts == part).sum()
            assert np.array_equal(of_first, expected) and np.array_equal(of_areas, sizes)
    nothing = torch.zeros(2, 0, 5, dtype=torch.int32)
    assert all(torch.equal(one, nothing) for one in components_fused.find_parts(nothing))


def check_spirals():
    for rows in (spiral(19), spiral(19).T, spiral(20)[::-1], spiral(21)[:, ::-1]):
        assert ndimage.label(rows, np.ones((3, 3)))[1] == 1
        cut = rows.copy()
        cut[:, 9] = np.where(np.arange(len(rows)) == 2, 0, cut[:, 9])
        both = np.stack([rows, cut])  # whole, and in pieces
        kept = assert_as_expected(both, np.full((2, 1, 2), OUTSIDE))
        assert torch.equal(kept[0], torch.from_numpy(rows.copy()))


def check_combs():
    comb = np.zeros((17, 33), dtype=np.int32)
    comb[:, ::2] = 1  # teeth that meet last, first, and by two instances
    for rows in (0, 16):
        joined = comb.copy()
        joined[rows] = 1
        assert_as_expected([joined], [[[4.5, 5.5]]])
        joined[rows, 12] = 0
        assert_as_expected([joined], [[[4.5, 5.5]]])
        joined[:, 16:] *= 2
        assert_as_expected([joined], [[[4.5, 5.5], [4.5, 5.5]]])
    assert_as_expected([comb], [[[4.5, 5.5]]])
    assert_as_expected([comb], [[[5.5, 5.5]]])  # on no tooth


def check_chessboards_and_diagonals():
    rows, columns = np.indices((13, 18))
    board = 1 + (rows + columns) % 2
    assert np.array_equal(assert_as_expected([board], [[[0, 0], [0, 0]]])[0], board)
    assert_as_expected([1 + (rows // 2 + columns) % 3], np.zeros((1, 3, 2)))
    for chain in (rows == columns, rows + columns == 12, rows == columns // 2):
        assert np.array_equal(assert_as_expected([chain * 1], [[[0.5, 3.5]]])[0], chain * 1)
    zigzag = (np.abs(columns % 8 - 4) == rows % 8) * 1
    assert_as_expected([zigzag], [[[0.5, 4.5]]])


def check_parts_of_one_pixel():
    sparse = np.zeros((9, 20), dtype=np.int32)
    sparse[::2, ::3] = 1
    assert_as_expected([sparse], [[[3.5, 2.5]]])  # there is nothing larger
    assert_as_expected([sparse], [[[4.5, 2.5]]])
    sparse[8, 10] = 1
    assert_as_expected([sparse], [[[3.5, 2.5]]])


def check_ties():
    ties = np.zeros((3, 9, 24), dtype=np.int32)
    ties[0, 5:7, 1:4] = ties[0, 4:7, 10:12] = ties[0, 0, 20] = 1
    ties[1, 4, 2:4] = ties[1, 3:5, 8] = ties[1, 2:4, 12] = ties[1, 7, :2] = 2
    ties[2, 0, ::2] = ties[2, 4, ::2] = 3
    for found in (ties, ties[:, ::-1], ties[:, :, ::-1]):
        assert_as_expected(found, np.full((3, 3, 2), OUTSIDE))


def check_padded_points_and_points_outside():
    maps, points = random_scene(np.random.default_rng(0), 3, 14, 21, 4, 0.6)
    maps[2][maps[2] > 2] = 0
    points[2, 2:] = OUTSIDE
    points[0, :, 0], points[1, :, 1] = [-0.1, 21, 20.9, 500], [-0.1, 14, 13.9, 500]
    assert_as_expected(maps, points)


def check_images_do_not_touch():
    """Neither the last row of an image and the first of the next, nor the ends of rows."""
    maps = np.ones((3, 5, 7), dtype=np.int32)
    assert_as_expected(maps, np.zeros((3, 1, 2)))
    maps[:, :, 3] = 0
    assert_as_expected(maps, np.array([[[0, 0]], [[6, 4]], [[3, 2]]]))


def check_empty_maps_and_no_points():
    for shape in ((2, 5, 6), (0, 5, 6), (2, 0, 6), (2, 5, 0)):
        for count in (0, 2):
            points = torch.zeros(shape[0], count, 2)
            maps = torch.zeros(shape, dtype=torch.int32)
            assert torch.equal(components_fused.keep_connected(maps, points), maps)
    assert_as_expected(np.zeros((1, 5, 6)), np.zeros((1, 2, 2)))


def check_thin_maps():
    rng = np.random.default_rng(1)
    for height, width in ((1, 40), (40, 1), (1, 1), (2, 17), (17, 2)):
        for _ in range(2):
            assert_as_expected(*random_scene(rng, 3, height, width, 2, 0.8))


def check_random_maps():
    rng = np.random.default_rng(2)
    for density in (0.3, 0.6, 0.8, 1.0):
        for count in (1, 4):
            assert_as_expected(*random_scene(rng, 3, 13, 19, count, density))
    assert_as_expected(*random_scene(rng, 1, 40, 40, 2, 0.8))


def check_maps_that_are_not_contiguous():
    maps, points = random_scene(np.random.default_rng(3), 2, 12, 15, 2, 0.8)
    maps, points = torch.from_numpy(maps).int(), torch.from_numpy(points)
    turned = maps.transpose(1, 2).contiguous().transpose(1, 2)
    expected = components_fused.keep_connected(maps, points)
    assert torch.equal(components_fused.keep_connected(turned, points), expected)


def check_the_trial():
    components_fused._LOOPING['BLOCK'], components_fused._STREAMING['BLOCK'] = 32, 128
    components_fused._trial(torch.device('cpu'))


CHECKS = checks_of(globals())


@pytest.fixture(scope='module')
def outcomes():
    pytest.importorskip('triton')
    return interpreted_outcomes(__file__)


@pytest.mark.parametrize('name', CHECKS)
def test_interpreted(outcomes, name):
    assert outcomes[name] == ''


class Launched:
    """In place of a kernel; writes nothing."""

    def __getitem__(self, grid):
        return lambda *args, **options: None


class Kernels:
    def __getattr__(self, name):
        return Launched()


def test_the_host_does_not_wait(monkeypatch):
    """For what plain torch does; the labels are those of maps without instances."""
    monkeypatch.setattr(components_fused, '_kernels', Kernels)
    maps, points = torch.zeros(2, 6, 7, dtype=torch.int32), torch.rand(2, 3, 2)
    with host_waits() as found:
        components_fused.keep_connected(maps, points)
    assert found == []
    with torch.device('meta'):  # without values: whatever needs one raises
        maps, points = torch.zeros(2, 6, 7, dtype=torch.int32), torch.rand(2, 3, 2)
        kept = components_fused.keep_connected(maps, points)
    assert kept.shape == maps.shape and kept.dtype == torch.int32


def test_a_wrong_trial_is_noticed(monkeypatch):
    monkeypatch.setattr(components_fused, 'keep_connected', lambda maps, points_xy: maps)
    with pytest.raises(RuntimeError, match='wrong'):
        components_fused._trial(torch.device('cpu'))


def test_kernels_are_used_where_they_run(monkeypatch):
    maps, points = torch.ones(1, 2, 3, dtype=torch.int32), torch.zeros(1, 1, 2)
    assert not components_fused.supports(maps)  # a CPU
    monkeypatch.setattr(components_fused, 'triton_runs', lambda *args, **options: True)
    assert components_fused.supports(maps)
    monkeypatch.setattr(components_fused, 'keep_connected', lambda maps, points_xy: maps + 1)
    assert torch.equal(components.keep_connected(maps, points), maps + 1)


if __name__ == '__main__':
    run_checks(CHECKS)
