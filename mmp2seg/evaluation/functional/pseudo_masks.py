"""IoU of each true object with the pseudo instance of its own point (table 6 of the P2Seg paper).

Unlike AP this needs neither a ranking nor matching by overlap: the point identifies the object.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.evaluation.functional.truth_maps import is_crowd
from mmp2seg.ops.adjacency import touching_objects
from mmp2seg.ops.rle import segmentation_to_rle

MATCH_RULES = ('point', 'point_id', 'order')
# Points of older files were rounded to float32, so they are compared with a tolerance, in pixels.
POINT_TOLERANCE = 1e-2


def point_matched_ious(
    pred_anns: Sequence[dict], truth_anns: Sequence[dict], *, match: str = 'point'
) -> np.ndarray:
    """Compute the IoU of each true object of an image with the pseudo instance of its point.

    Each instance is assigned to at most one object, in the order of ``pred_anns``.

    Args:
        pred_anns: pseudo annotations of the image with ``category_id``, ``point``, ``point_id`` and
            ``segmentation`` (compressed RLE).
        truth_anns: true annotations of the image, without crowd regions, with ``category_id``,
            ``segmentation`` (compressed RLE) and, depending on ``match``, ``point`` or ``id``.
        match: how to find the object of an instance. ``'point'``: the object of the instance's
            class with the same ``point``; if the objects have no ``point``, the smallest one of the
            class whose mask contains the point. ``'point_id'``: the object whose ``id`` equals the
            instance's ``point_id``, for files that share ids. ``'order'``: the object at index
            ``point_id``, from 0, for VOC layout, where the id of a point is its line and the
            objects are in the same order. The last two also work for points that were moved.

    Returns:
        np.ndarray: ``(len(truth_anns),)`` float64; 0 for an object without instance.

    Raises:
        ValueError: ``match`` is unknown, masks have different sizes, or, with ``'order'``, the
            object at the index has another class than the instance or does not exist.
    """
    ious = np.zeros(len(truth_anns))
    for pred, index in zip(
        pred_anns, match_points(pred_anns, truth_anns, match=match), strict=True
    ):
        if index is not None:
            ious[index] = _iou(pred['segmentation'], truth_anns[index]['segmentation'])
    return ious


def match_points(
    pred_anns: Sequence[dict], truth_anns: Sequence[dict], *, match: str = 'point'
) -> list[int | None]:
    """Return the index of the true object of each pseudo instance of an image; None: it has none.

    Arguments and errors are those of :func:`point_matched_ious`.
    """
    if match not in MATCH_RULES:
        raise ValueError(f'expected match to be one of {MATCH_RULES}, got {match!r}')
    candidates_of = {'point': _by_point, 'point_id': _by_id, 'order': _by_order}[match]
    taken: set[int] = set()
    found: list[int | None] = []
    for pred in pred_anns:
        free = (index for index in candidates_of(pred, truth_anns) if index not in taken)
        found.append(next(free, None))
        taken.update(found[-1:] if found[-1] is not None else ())
    return found


def compare_image(
    pred_anns: Sequence[dict],
    truth_anns: Sequence[dict],
    *,
    height: int,
    width: int,
    match: str = 'point',
    gap: int = 2,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute IoUs and touching flags of the true objects of an image, without crowd regions.

    Args:
        pred_anns: pseudo annotations of the image, see :func:`point_matched_ious`.
        truth_anns: annotations of a COCO json, with polygons or either kind of RLE.
        height: height of the image.
        width: width of the image.
        match: see :func:`point_matched_ious`.
        gap: see :func:`~mmp2seg.ops.adjacency.touching_objects`.

    Returns:
        tuple[np.ndarray, np.ndarray]: ``(N,)`` float64 IoUs (:func:`point_matched_ious`) and
        ``(N,)`` bool.
    """
    objects = [
        {**ann, 'segmentation': segmentation_to_rle(ann['segmentation'], height, width)}
        for ann in truth_anns
        if not is_crowd(ann)
    ]
    ious = point_matched_ious(pred_anns, objects, match=match)
    masks = [ann['segmentation'] for ann in objects]
    return ious, touching_objects(masks, [ann['category_id'] for ann in objects], gap=gap)


def summarize_ious(ious: np.ndarray, touching: np.ndarray) -> dict[str, float]:
    """Compute the figures over the objects of all images.

    Args:
        ious: ``(N,)`` floats in [0, 1].
        touching: ``(N,)`` bool.

    Returns:
        dict: ``num_objects``, ``num_touching``; ``mean_iou``, ``mean_iou_touching`` (fractions);
        ``num_iou50``, ``num_iou70``, ``num_iou90``: objects with an IoU above .5, .7, .9, as in
        table 6; ``found_touching_iou50``: share of the touching objects with an IoU of at least .5.
        Means and shares of nothing are nan.
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


def summarize_sizes(ious: np.ndarray, areas: np.ndarray) -> dict[str, float]:
    """Compute the mean IoU of the half of the objects with the smallest areas, and of the others.

    Args:
        ious: ``(N,)`` floats in [0, 1].
        areas: ``(N,)``; of equal areas, the earlier object is the smaller one.

    Returns:
        dict: ``mean_iou_small`` and ``mean_iou_large``; nan without objects. The odd object is a
        small one.
    """
    ious = np.asarray(ious, dtype=np.float64)
    small, large = np.array_split(ious[np.argsort(areas, kind='stable')], 2)
    return {'mean_iou_small': _mean(small), 'mean_iou_large': _mean(large)}


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
