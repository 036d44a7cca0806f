"""Pseudo masks against the truth, each object compared with the instance of its own point.

Unlike AP this needs no ranking and no matching by overlap: a point names its object. It is the
comparison of table 6 of the P2Seg paper.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.ops.adjacency import touching_objects
from mmp2seg.ops.rle import segmentation_to_rle

MATCH_RULES = ('point', 'point_id', 'order')
# Points are float32 in data samples and decimals in files: equal up to this many pixels.
POINT_TOLERANCE = 1e-2


def point_matched_ious(
    pred_anns: Sequence[dict], truth_anns: Sequence[dict], *, match: str = 'point'
) -> np.ndarray:
    """IoU of each true object of one image with the pseudo instance of its point.

    An instance belongs to one object at most, in the order of ``pred_anns``.

    Args:
        pred_anns: Pseudo annotations of the image: ``category_id``, ``point``, ``point_id`` and
            ``segmentation`` (compressed RLE).
        truth_anns: True annotations of the image: ``category_id``, ``segmentation`` (compressed
            RLE) and, by ``match``, ``point`` or ``id``. No crowd regions.
        match: ``'point'``: the object of the instance's class with the same ``point``; for objects
            without ``point``, the smallest one of the class whose mask holds the point.
            ``'point_id'``: the object whose ``id`` is the instance's ``point_id`` (files with a
            common id space). ``'order'``: the object at the place ``point_id``, counted from 0
            (VOC layout, where a point's id is its line and the objects have the points' order).
            The last two serve where points were moved.

    Returns:
        np.ndarray: ``(len(truth_anns),)`` float64; 0 for an object without instance.

    Raises:
        ValueError: Unknown ``match``, masks of different sizes, or, by ``'order'``, no object of
            the instance's class at its place.
    """
    if match not in MATCH_RULES:
        raise ValueError(f'expected match to be one of {MATCH_RULES}, got {match!r}')
    ious = np.zeros(len(truth_anns))
    taken = np.zeros(len(truth_anns), dtype=bool)
    candidates_of = {'point': _by_point, 'point_id': _by_id, 'order': _by_order}[match]
    for pred in pred_anns:
        for index in candidates_of(pred, truth_anns):
            if not taken[index]:
                taken[index] = True
                ious[index] = _iou(pred['segmentation'], truth_anns[index]['segmentation'])
                break
    return ious


def compare_image(
    pred_anns: Sequence[dict],
    truth_anns: Sequence[dict],
    *,
    height: int,
    width: int,
    match: str = 'point',
    gap: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """IoUs and touching flags of the true objects of one image; crowd regions are left out.

    Args:
        truth_anns: As in a COCO json: polygons and both kinds of RLE.
        height: Height of the image.
        width: Width of the image.
        gap: See :func:`~mmp2seg.ops.adjacency.touching_objects`.

    Returns:
        tuple[np.ndarray, np.ndarray]: ``(N,)`` float64 IoUs (:func:`point_matched_ious`) and
        ``(N,)`` bool.
    """
    objects = [
        {**ann, 'segmentation': segmentation_to_rle(ann['segmentation'], height, width)}
        for ann in truth_anns
        if not ann.get('iscrowd', 0)
    ]
    ious = point_matched_ious(pred_anns, objects, match=match)
    masks = [ann['segmentation'] for ann in objects]
    return ious, touching_objects(masks, [ann['category_id'] for ann in objects], gap=gap)


def summarize_ious(ious: np.ndarray, touching: np.ndarray) -> dict[str, float]:
    """Figures over the objects of all images.

    Args:
        ious: ``(N,)`` floats in [0, 1].
        touching: ``(N,)`` bool.

    Returns:
        dict: ``num_objects``, ``num_touching``; ``mean_iou``, ``mean_iou_touching`` (fractions);
        ``num_iou50``, ``num_iou70``, ``num_iou90``: objects with an IoU above .5, .7, .9, as table
        6 counts them; ``found_touching_iou50``: share of the touching objects whose IoU reaches
        .5. Means and shares of nothing are nan.
    """
    ious, touching = np.asarray(ious, dtype=np.float64), np.asarray(touching, dtype=bool)
    of_touching = ious[touching]
    return {
        'num_objects': len(ious),
        'num_touching': len(of_touching),
        'mean_iou': _mean(ious),
        'mean_iou_touching': _mean(of_touching),
        **{f'num_iou{percent}': int((ious > percent / 100).sum()) for percent in (50, 70, 90)},
        'found_touching_iou50': _mean(of_touching >= 0.5),
    }


def _by_id(pred: dict, truth_anns: Sequence[dict]) -> Iterator[int]:
    return (index for index, ann in enumerate(truth_anns) if ann['id'] == pred['point_id'])


def _by_order(pred: dict, truth_anns: Sequence[dict]) -> Iterator[int]:
    index, category = pred['point_id'], pred['category_id']
    known = truth_anns[index]['category_id'] if 0 <= index < len(truth_anns) else None
    if known != category:
        found = 'nothing' if known is None else f'category {known}'
        raise ValueError(f'expected object {index} to be of category {category}, got {found}')
    yield index


def _by_point(pred: dict, truth_anns: Sequence[dict]) -> Iterator[int]:
    category, point = pred['category_id'], pred['point']
    of_class = [i for i, ann in enumerate(truth_anns) if ann['category_id'] == category]
    without_point = []
    for index in of_class:
        known = truth_anns[index].get('point')
        if known is None:
            without_point.append(index)
        elif np.allclose(known, point, atol=POINT_TOLERANCE, rtol=0):
            yield index
    without_point.sort(key=lambda index: mask_utils.area(truth_anns[index]['segmentation']))
    yield from (i for i in without_point if _holds(truth_anns[i]['segmentation'], point))


def _holds(rle: dict, point: Sequence[float]) -> bool:
    height, width = rle['size']
    col, row = int(np.floor(point[0])), int(np.floor(point[1]))
    return 0 <= row < height and 0 <= col < width and bool(mask_utils.decode(rle)[row, col])


def _iou(pred_rle: dict, truth_rle: dict) -> float:
    if list(pred_rle['size']) != list(truth_rle['size']):
        raise ValueError(
            f'expected masks of one size, got {pred_rle["size"]} and {truth_rle["size"]}'
        )
    return float(mask_utils.iou([pred_rle], [truth_rle], [0])[0, 0])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float('nan')
