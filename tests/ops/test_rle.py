import numpy as np
import pytest
from pycocotools import mask as mask_utils

from mmp2seg.files import image_folder
from mmp2seg.ops.rle import (
    MAX_PIXELS,
    _run_sums,
    decode_rle,
    encode_instance_map,
    encode_rle,
    first_broken,
    segmentation_to_rle,
)

MASK = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=bool)


def test_round_trip_and_plain_types():
    rle = encode_rle(MASK)
    assert rle['size'] == [3, 4]
    assert type(rle['counts']) is str
    assert {type(side) for side in rle['size']} == {int}
    assert np.array_equal(decode_rle(rle), MASK)


@pytest.mark.parametrize('mask', [np.zeros((3, 4), bool), np.ones((3, 4), bool), MASK.T])
def test_round_trip_of_any_memory_order(mask):
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)


def test_instance_map_by_hand():
    first, gone, third = encode_instance_map(np.array([[0, 1, 3], [3, 1, 0]]), 3)
    assert first == encode_rle(np.array([[0, 1, 0], [0, 1, 0]], bool))
    assert gone is None
    assert third == encode_rle(np.array([[0, 0, 1], [1, 0, 0]], bool))


@pytest.mark.parametrize('shape', [(1, 1), (7, 1), (1, 9), (23, 17)])
@pytest.mark.parametrize('num', [0, 1, 40])
def test_instance_map_equals_one_mask_at_a_time(shape, num):
    instance_map = np.random.default_rng(0).integers(0, num + 1, shape).astype(np.int32)
    rles = encode_instance_map(instance_map, num)
    assert len(rles) == num
    for number, rle in enumerate(rles, start=1):
        mask = instance_map == number
        assert rle == (encode_rle(mask) if mask.any() else None)


def test_instance_map_with_an_unknown_instance():
    for value in (-1, 3):
        with pytest.raises(ValueError, match=r'expected values in 0\.\.2'):
            encode_instance_map(np.array([[0, value]]), 2)


def test_segmentation_to_rle_of_each_kind():
    # columns first: 3 zeros, 2 ones (column 1), zero, one (column 2), 4 zeros, one
    uncompressed = {'size': [3, 4], 'counts': [3, 2, 1, 1, 4, 1]}
    polygon = [[1, 0, 3, 0, 3, 2, 1, 2]]
    for segmentation in (encode_rle(MASK), uncompressed):
        assert np.array_equal(decode_rle(segmentation_to_rle(segmentation, 3, 4)), MASK)
    expected = np.zeros((3, 4), bool)
    expected[:2, 1:3] = True
    assert np.array_equal(decode_rle(segmentation_to_rle(polygon, 3, 4)), expected)


def test_parts_of_an_object_are_joined():
    parts = [[0, 0, 1, 0, 1, 1, 0, 1], [2, 2, 4, 2, 4, 3, 2, 3]]
    assert mask_utils.area(segmentation_to_rle(parts, 3, 4)) == 3


def test_errors():
    with pytest.raises(ValueError, match='at least three corners'):
        segmentation_to_rle([[1, 2, 3, 4]], 3, 4)
    with pytest.raises(ValueError, match=r'image size \[4, 3\], got \[3, 4\]'):
        segmentation_to_rle(encode_rle(MASK), 4, 3)


@pytest.mark.parametrize(
    'segmentation',
    [
        None,
        {},
        [],
        [[1, 1, 5, 5]],
        [[5, 5, float('nan'), 5, 9, 9]],
        [[5, 5, float('inf'), 5, 9, 9]],
        [[5, 5, 1e9, 5, 9, 9]],
        [[5, 5, 10**400, 5, 9, 9]],
        [[5, 5, 'x', 5, 9, 9]],
        {'size': [10, 12], 'counts': [20, 5]},
        {'size': [10, 12], 'counts': [20, 200]},
        {'size': [10, 12], 'counts': [20, -5, 105]},
        {'size': [10, 12], 'counts': [20.5, 99.5]},
        {'size': [10, 12], 'counts': []},
        {'size': [10, 12], 'counts': ''},
        {'size': [10, 12], 'counts': 'é'},
        {'size': [10, 12], 'counts': 5},
        {'size': 10, 'counts': [120]},
        {'size': [10, 12], 'counts': [True, 119]},
        [[5, 5, '6', 5, 9, 9]],
        [[5, 5, True, 5, 9, 9]],
    ],
)
def test_what_pycocotools_would_crash_on_or_make_up_is_refused(segmentation):
    with pytest.raises(ValueError, match='expected'):
        segmentation_to_rle(segmentation, 10, 12)


def test_runs_of_a_compressed_rle_have_to_fill_the_image():
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (3, 40), (50, 37), (300, 200)):
        for share in (0, 0.01, 0.5, 1):
            rle = encode_rle(rng.random(shape) < share)
            for counts in (rle['counts'], rle['counts'].encode()):
                assert segmentation_to_rle({**rle, 'counts': counts}, *shape) is not None
            longer = {**rle, 'counts': rle['counts'] + '1'}
            with pytest.raises(ValueError, match='expected runs that make up'):
                segmentation_to_rle(longer, *shape)
            with pytest.raises(ValueError, match='expected runs that make up'):
                segmentation_to_rle({**rle, 'counts': rle['counts'][:-1]}, *shape)


def test_the_first_broken_one_of_many_is_found():
    rng = np.random.default_rng(0)
    masks = [rng.random((9, 7)) < share for share in rng.random(50)]
    sound = [encode_rle(mask) for mask in masks]
    sizes = [(9, 7)] * 50
    assert first_broken(sound, sizes) is None
    assert first_broken([], []) is None
    for index in (0, 17, 49):
        for counts in (sound[index]['counts'] + '1', 'garbage', '', '\xe9', b'?' * 9, [62], None):
            broken = list(sound)
            broken[index] = {'size': [9, 7], 'counts': counts}
            found, reason = first_broken([*broken, 'also broken'], [*sizes, (9, 7)])
            assert found == index and 'runs that make up the 63 pixels' in reason
    found, reason = first_broken([*sound, 'x', {}], [*sizes, (9, 7), (9, 7)])
    assert found == 50 and reason == "expected polygons or an RLE, got 'x'"


def test_lists_longer_than_a_batch(monkeypatch):
    monkeypatch.setattr('mmp2seg.ops.rle._AT_ONCE', 3)
    masks = [encode_rle(MASK)] * 10
    assert first_broken(masks, [(3, 4)] * 10) is None
    masks[7] = {**masks[7], 'counts': '0'}
    assert first_broken(masks, [(3, 4)] * 10)[0] == 7


def _sum_of_runs(text):
    """Decode one character after the other, as pycocotools does."""
    runs, place = [], 0
    while place < len(text):
        value = number = 0
        more = True
        while more:
            if place == len(text) or not 48 <= text[place] < 112:
                return -1
            code = text[place] - 48
            value |= (code & 31) << (5 * number)
            more, place, number = bool(code & 32), place + 1, number + 1
            if not more and code & 16:
                value -= 1 << (5 * number)
        value += runs[-2] if len(runs) > 2 else 0
        if number > 7 or not 0 <= value <= 10**8:
            return -1
        runs.append(value)
    return sum(runs) if runs else -1


def test_runs_of_random_texts():
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(400):
        mask = rng.random(rng.integers(1, 20, 2)) < rng.random()
        text = bytearray(encode_rle(mask)['counts'].encode())
        if rng.random() < 0.7:
            text[rng.integers(len(text))] = rng.integers(40, 120)
        texts.append(bytes(text))
    texts += [bytes(rng.integers(48, 112, rng.integers(5)).tolist()) for _ in range(400)]
    sums = [_sum_of_runs(text) for text in texts]
    assert 200 < np.count_nonzero(np.array(sums) >= 0) < 600
    assert _run_sums(texts).tolist() == sums


def test_masks_may_be_as_large_as_images():
    assert image_folder.MAX_PIXELS == MAX_PIXELS


def test_a_huge_image_is_refused_before_pycocotools_crashes():
    huge = {'size': [60_000, 60_000], 'counts': [3_600_000_000]}
    with pytest.raises(ValueError, match='at most 178956970 pixels, got 60000 x 60000'):
        segmentation_to_rle(huge, 60_000, 60_000)
    with pytest.raises(ValueError, match='at most 178956970 pixels, got 60000 x 60000'):
        segmentation_to_rle([[0, 0, 5, 0, 5, 5]], 60_000, 60_000)
