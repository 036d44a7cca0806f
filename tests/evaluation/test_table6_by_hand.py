"""Table 6 by hand on a small drawing: counts above IoU 50, 70 and 90, and the mean IoU."""

import numpy as np
import pytest

from mmp2seg.evaluation.functional.pseudo_masks import compare_image, summarize_ious
from mmp2seg.ops.rle import encode_rle

# Capitals are cats, small letters are dogs. A and B touch, and d and e touch.
TRUTH = [
    'AAAAABBBBB',
    'AAAAABBBBB',
    '..........',
    '..........',
    'CC..ddddee',
    'CC..ddddee',
]
# A has 9 of its 10 pixels, so its IoU is .9, not above. B has all its pixels and two of the
# background: 10 / 12. C has none. d has its 8 pixels and half of e: 8 / 10. e has 2 of 4 pixels, so
# its IoU is .5, not above.
PSEUDO = [
    'AAAAABBBBB',
    'AAAA.BBBBB',
    '.....BB...',
    '..........',
    '....dddded',
    '....dddded',
]
IOUS = {'A': 9 / 10, 'B': 10 / 12, 'C': 0, 'd': 8 / 10, 'e': 2 / 4}


def annotations_of(rows):
    grid = np.array([list(row) for row in rows])
    annotations = []
    for letter in sorted(set(grid.ravel()) - {'.'}):
        y, x = np.argwhere(np.array([list(row) for row in TRUTH]) == letter)[0]
        annotations.append(
            {
                'id': ord(letter),
                'point_id': ord(letter),
                'category_id': 1 if letter.isupper() else 2,
                'segmentation': encode_rle(grid == letter),
                'point': [x + 0.5, y + 0.5],
            }
        )
    return annotations


@pytest.mark.parametrize('match', ['point', 'point_id'])
def test_figures(match):
    truth = annotations_of(TRUTH)
    ious, touching = compare_image(annotations_of(PSEUDO), truth, height=6, width=10, match=match)
    assert ious.tolist() == pytest.approx(list(IOUS.values()))
    assert touching.tolist() == [True, True, False, True, True]
    assert summarize_ious(ious, touching) == {
        'num_objects': 5,
        'num_touching': 4,
        'mean_iou': pytest.approx(sum(IOUS.values()) / 5),
        'mean_iou_touching': pytest.approx(sum(IOUS.values()) / 4),
        'num_iou50': 3,
        'num_iou70': 3,
        'num_iou90': 0,
        'found_touching_iou50': 1.0,
    }
