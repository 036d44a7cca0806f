"""True masks and boxes in the result of a point segmenter, whichever it is.

Dimensions: ``H, W`` pixels of the image; ``n`` points.
"""

import dataclasses

import numpy as np
import numpy.typing as npt
from pycocotools import mask as mask_utils

from mmp2seg.ops.rle import Rle, decode_rle
from mmp2seg.segmenters.point_segmentation import PointSegmentation

_IGNORE = 255


@dataclasses.dataclass(frozen=True)
class GivenOfPoints:
    """The true masks and boxes of the points of an image.

    Attributes:
        kinds: n of :data:`mmp2seg.datasets.point_supervision.SUPERVISION_KINDS`.
        rles: the mask, or the filled box, of each point; None for a point alone.
        complete: all objects of the image have masks, the rest is background.
    """

    kinds: tuple[str, ...]
    rles: tuple[Rle | None, ...]
    complete: bool = False


def with_given_masks(
    segmentation: PointSegmentation, given: GivenOfPoints, *, labels: npt.NDArray[np.integer]
) -> PointSegmentation:
    """Draw true masks over a segmentation, and cut its masks off at their boxes.

    What a point loses outside of its mask or box belongs to no other point, and is 255 in the
    semantic map. Of masks that overlap, the smaller one is drawn.

    Args:
        segmentation: of the image.
        given: of the n points.
        labels: ``(n,)`` integers ``0..K-1``.

    Returns:
        PointSegmentation: a point with a mask has the score 1. A point whose pixels all belong to
        masks of others has none, for the reason ``no_pixels``.

    Raises:
        ValueError: a mask has another size than the image.
    """
    instances, semantic = segmentation.instance_map.copy(), segmentation.semantic_map.copy()
    likely, scores = segmentation.semantic_argmax, segmentation.scores.copy()
    likely = (segmentation.semantic_map if likely is None else likely).copy()
    if given.complete:
        instances[:], semantic[:], likely[:] = 0, 0, 0
    limits: dict[int, npt.NDArray[np.bool_]] = {}
    for index, rle in enumerate(given.rles):
        if rle is None:
            continue
        if tuple(rle['size']) != instances.shape:
            size, (height, width) = rle['size'], instances.shape
            raise ValueError(
                f'expected a mask of {width} x {height} pixels like the image, got '
                f'{size[1]} x {size[0]}'
            )
        limits[index] = decode_rle(rle)
        lost = (instances == index + 1) & ~limits[index]
        instances[lost], semantic[lost], likely[lost] = 0, _IGNORE, 0
    masks = [index for index in limits if given.kinds[index] == 'mask']
    for index in sorted(masks, key=lambda index: -int(mask_utils.area(given.rles[index]))):
        pixels, value = limits[index], labels[index] + 1
        instances[pixels], semantic[pixels], likely[pixels] = index + 1, value, value
        scores[index] = 1
    reasons = segmentation.reasons
    if reasons is not None:
        counts = np.bincount(instances.ravel(), minlength=len(scores) + 1)[1:]
        reasons = tuple(
            '' if count or index in masks else reason or 'no_pixels'
            for index, (reason, count) in enumerate(zip(reasons, counts, strict=True))
        )
    return PointSegmentation(
        instance_map=instances,
        semantic_map=semantic,
        scores=scores,
        semantic_argmax=likely,
        reasons=reasons,
    )
