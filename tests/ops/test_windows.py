import numpy as np
import pytest

from mmp2seg.ops.windows import overlapping_windows


@pytest.mark.parametrize('step', [1, 4])
@pytest.mark.parametrize(('height', 'width'), [(1, 1), (16, 16), (17, 40), (50, 7)])
def test_they_cover_the_frame_once(height, width, step):
    count, overlap = np.zeros((height, width), int), 4
    for core, window in overlapping_windows(height, width, 16, overlap, step=step):
        count[core] += 1
        for inner, outer, length in zip(core, window, (height, width), strict=True):
            assert inner.start % step == 0 and 0 < inner.stop - inner.start <= 16
            assert outer.start == max(0, inner.start - overlap)
            assert outer.stop == min(length, inner.stop + overlap)
    assert (count == 1).all()


def test_they_are_about_equal():
    columns = [core[1] for core, _ in overlapping_windows(1, 33, 16, 0)]
    assert [(side.start, side.stop) for side in columns] == [(0, 11), (11, 22), (22, 33)]


def test_a_direction_that_is_hardly_longer_is_not_cut():
    assert len(list(overlapping_windows(24, 25, 16, 0, single=1.5))) == 2
