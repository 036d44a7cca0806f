import numpy as np
import pytest

from mmp2seg.ops.rle import decode_rle, encode_rle
from mmp2seg.pseudo_labels.labels import ImageLabels
from mmp2seg.pseudo_labels.refresh import PredictedInstances, refresh_image

SIZE = (6, 10)


def columns(first, last):
    """The RLE of the columns ``first..last``."""
    mask = np.zeros(SIZE, bool)
    mask[:, first : last + 1] = True
    return encode_rle(mask)


def annotation(first, last, *, point, point_id, score=0.6, category_id=1):
    return {
        'image_id': 5,
        'category_id': category_id,
        'segmentation': columns(first, last),
        'bbox': [0.0, 0.0, 1.0, 1.0],
        'area': 1,
        'iscrowd': 0,
        'score': score,
        'point': point,
        'point_id': point_id,
    }


LEFT = annotation(0, 3, point=[1.5, 2.5], point_id=1)
RIGHT = annotation(6, 9, point=[8.5, 2.5], point_id=2)
LOST = {
    'image_id': 5,
    'category_id': 1,
    'point': [5.0, 2.5],
    'point_id': 3,
    'reason': 'no_region',
}


def refresh(predictions, *, annotations=(LEFT, RIGHT), dropped=(), **options):
    labels = ImageLabels(
        {'id': 5, 'file_name': 'a.png', 'height': SIZE[0], 'width': SIZE[1]},
        [dict(ann) for ann in annotations],
        [dict(point) for point in dropped],
    )
    category_ids, scores, masks = zip(*predictions, strict=True) if predictions else ([], [], [])
    return refresh_image(labels, PredictedInstances(category_ids, scores, masks), **options)


def columns_of(image):
    """By point id the columns of the first row that each mask has."""
    return {
        ann['point_id']: np.flatnonzero(decode_rle(ann['segmentation'])[0]).tolist()
        for ann in image.annotations
    }


def test_a_surer_prediction_that_agrees_replaces_the_mask():
    image = refresh([(1, 0.9, columns(0, 4))], round_name=300)
    assert columns_of(image) == {1: [0, 1, 2, 3, 4], 2: [6, 7, 8, 9]}
    changed, other = image.annotations
    assert (image.num_replaced, image.num_found) == (1, 0)
    assert changed['score'] == 0.9
    assert changed['refreshed'] == 300
    assert changed['area'] == 5 * SIZE[0]
    assert changed['bbox'] == [0, 0, 5, 6]
    assert changed['point'] == LEFT['point']
    assert 'refreshed' not in other
    assert other['score'] == RIGHT['score']


@pytest.mark.parametrize(
    ('prediction', 'options'),
    [
        ((2, 0.9, columns(0, 4)), {}),  # another class
        ((1, 0.9, columns(2, 4)), {}),  # without the click
        ((1, 0.9, columns(0, 9)), {}),  # with the click of another point
        ((1, 0.9, columns(1, 1)), {}),  # an IoU of 1/4 with the mask
        ((1, 0.9, columns(0, 4)), {'min_score': 0.95}),
        ((1, 0.9, columns(0, 4)), {'min_iou': 0.85}),  # it is 4/5
        ((1, 0.9, columns(0, 4)), {'annotations': ({**LEFT, 'score': 0.95}, RIGHT)}),
    ],
)
def test_what_replaces_no_mask(prediction, options):
    image = refresh([prediction], **options)
    assert columns_of(image) == {1: [0, 1, 2, 3], 2: [6, 7, 8, 9]}
    assert (image.num_replaced, image.num_found) == (0, 0)
    assert all('refreshed' not in ann for ann in image.annotations)


@pytest.mark.parametrize(('kind', 'replaced'), [('mask', 0), ('box', 0), ('point', 1)])
def test_true_masks_and_masks_in_true_boxes_stay(kind, replaced):
    given = {**LEFT, 'supervision': kind}
    assert refresh([(1, 0.9, columns(0, 4))], annotations=(given, RIGHT)).num_replaced == replaced


def test_a_surer_mask_takes_no_pixel_of_a_true_one():
    true = {**RIGHT, 'supervision': 'mask'}  # whatever its score
    image = refresh([(1, 0.9, columns(0, 6))], annotations=(LEFT, true))
    assert image.annotations[1] == true


def test_the_new_mask_is_not_one_of_the_candidates():
    chosen = {**LEFT, 'candidates': [], 'candidate': 1}
    changed, _ = refresh([(1, 0.9, columns(0, 4))], annotations=(chosen, RIGHT)).annotations
    assert 'candidate' not in changed
    assert 'candidates' in changed


def test_the_surest_of_several_is_taken():
    image = refresh([(1, 0.8, columns(0, 2)), (1, 0.9, columns(0, 4)), (1, 0.85, columns(0, 3))])
    assert columns_of(image)[1] == [0, 1, 2, 3, 4]


def test_a_click_of_another_class_forbids_a_mask_too():
    other = {**RIGHT, 'category_id': 2, 'point': [4.5, 2.5]}
    image = refresh([(1, 0.9, columns(0, 4))], annotations=(LEFT, other))
    assert image.num_replaced == 0


def test_a_point_without_a_mask_gets_one():
    image = refresh([(1, 0.9, columns(4, 5))], dropped=[LOST])
    assert columns_of(image) == {1: [0, 1, 2, 3], 2: [6, 7, 8, 9], 3: [4, 5]}
    assert image.dropped_points == []
    assert (image.num_replaced, image.num_found) == (0, 1)
    assert 'reason' not in image.annotations[2]


@pytest.mark.parametrize('reason', ['duplicate', 'outside_image'])
def test_a_point_that_cannot_have_a_mask_is_no_click(reason):
    twin = {**LOST, 'point': LEFT['point'], 'reason': reason}
    image = refresh([(1, 0.9, columns(0, 4))], dropped=[twin])
    assert columns_of(image)[1] == [0, 1, 2, 3, 4]
    assert image.dropped_points == [twin]


def test_the_surer_mask_takes_the_common_pixels():
    image = refresh([(1, 0.9, columns(0, 6))])  # LEFT is 4/7 of it
    assert columns_of(image) == {1: [0, 1, 2, 3, 4, 5, 6], 2: [7, 8, 9]}
    sure = {**RIGHT, 'score': 0.95}
    image = refresh([(1, 0.9, columns(0, 6))], annotations=(LEFT, sure))
    assert columns_of(image) == {1: [0, 1, 2, 3, 4, 5], 2: [6, 7, 8, 9]}


def test_a_mask_that_would_vanish_keeps_its_pixels():
    below = annotation(4, 5, point=[9.5, 2.5], point_id=2, score=0.1)  # its click is not in it
    image = refresh([(1, 0.9, columns(0, 5))], annotations=(LEFT, below))
    assert columns_of(image) == {1: [0, 1, 2, 3, 4, 5], 2: [4, 5]}


@pytest.mark.parametrize('options', [{}, {'annotations': ()}])
def test_nothing_predicted_or_nothing_clicked(options):
    image = refresh([], **options)
    assert len(image.annotations) == len(options.get('annotations', (LEFT, RIGHT)))
    assert refresh([(1, 0.9, columns(0, 4))], annotations=()).annotations == []


def test_a_point_on_the_far_edge_belongs_to_the_last_pixel():
    edge = {**RIGHT, 'point': [10.0, 6.0]}
    image = refresh([(1, 0.9, columns(5, 9))], annotations=(LEFT, edge))
    assert columns_of(image)[2] == [5, 6, 7, 8, 9]
