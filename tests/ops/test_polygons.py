import numpy as np
import pytest
from pycocotools import mask as mask_utils
from scipy.ndimage import binary_fill_holes, zoom

from mmp2seg.ops.polygons import mask_to_polygons


def drawn(polygons, shape):
    if not polygons:
        return np.zeros(shape, dtype=bool)
    return mask_utils.decode(mask_utils.merge(mask_utils.frPyObjects(polygons, *shape))) > 0


def test_a_rectangle_has_the_edges_of_its_pixels():
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:5, 1:7] = True
    (polygon,) = mask_to_polygons(mask)
    corners = set(zip(polygon[::2], polygon[1::2], strict=True))
    assert len(polygon) == 8 and corners == {(1, 2), (7, 2), (7, 5), (1, 5)}


@pytest.mark.parametrize('scale', [1, 2, 8])
@pytest.mark.parametrize('seed', range(5))
def test_pycocotools_makes_the_same_mask_but_for_holes(scale, seed):
    rng = np.random.default_rng(seed)
    mask = zoom(rng.random((48 // scale, 40 // scale)), scale, order=1) > 0.55
    assert mask.any()
    assert np.array_equal(drawn(mask_to_polygons(mask), mask.shape), binary_fill_holes(mask))


def test_whole_images_single_pixels_and_nothing():
    mask = np.zeros((5, 4), dtype=bool)
    assert mask_to_polygons(mask) == []
    mask[3, 2] = True
    assert np.array_equal(drawn(mask_to_polygons(mask), mask.shape), mask)
    mask[:] = True
    assert drawn(mask_to_polygons(mask), mask.shape).all()


def test_parts_are_polygons_of_their_own():
    mask = np.zeros((10, 10), dtype=bool)
    mask[1:3, 1:3] = mask[6:9, 5:8] = True
    assert len(mask_to_polygons(mask)) == 2
