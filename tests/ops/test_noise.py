import numpy as np
import pytest

from mmp2seg.ops.noise import smooth_noise


@pytest.mark.parametrize('cell', [1, 2, 5, 20])
def test_noise_is_standard_and_smooth_at_its_cell(cell):
    rng = np.random.default_rng(0)
    fields = np.stack([smooth_noise((80, 90), cell=cell, rng=rng) for _ in range(40)])
    assert fields.shape == (40, 80, 90)
    assert fields.dtype == np.float32
    assert abs(fields.mean()) < 0.1
    assert abs(fields.std() - 1) < 0.1
    # Values are similar within a cell and not beyond it.
    step = np.abs(np.diff(fields, axis=2)).mean()
    assert step < 3 / cell
    assert abs((fields[:, :, : -3 * cell] * fields[:, :, 3 * cell :]).mean()) < 0.1


def test_noise_repeats_with_the_seed():
    first, second, other = (
        smooth_noise((9, 7), cell=4, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize('shape', [(0, 4), (4, 0), (1, 1), (1, 50), (3, 2)])
def test_noise_of_small_shapes(shape):
    field = smooth_noise(shape, cell=6, rng=np.random.default_rng(0))
    assert field.shape == shape
    assert np.isfinite(field).all()


@pytest.mark.parametrize('cell', [0, -1, float('nan')])
def test_noise_refuses_a_cell_without_size(cell):
    with pytest.raises(ValueError, match='expected cell > 0'):
        smooth_noise((4, 4), cell=cell, rng=np.random.default_rng(0))
