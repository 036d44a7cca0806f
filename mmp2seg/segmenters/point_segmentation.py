"""What a point segmenter is called with and what it returns.

Dimensions: ``H, W`` pixels of the image; ``n`` points; ``K`` classes.
"""

import dataclasses
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mmp2seg.ops.rle import Rle


@dataclasses.dataclass(frozen=True)
class MaskCandidate:
    """One of several masks that a method has for a point.

    Attributes:
        rle: the mask, see :func:`mmp2seg.ops.rle.encode_rle`; it may be empty, and it may overlap
            the masks of other points.
        score: the method's confidence in it, in ``[0, 1]``.
    """

    rle: Rle
    score: float


@dataclasses.dataclass(frozen=True)
class PointCandidates:
    """The masks that a method has for a point, from the smallest to the largest.

    Attributes:
        masks: at least one.
        chosen: place of the one in the segmentation.
    """

    masks: tuple[MaskCandidate, ...]
    chosen: int


@dataclasses.dataclass(frozen=True)
class PointSegmentation:
    """Masks and classes of an image, found from its points.

    Attributes:
        instance_map: ``(H, W)`` int32, 0 = none, ``k + 1`` = the pixels of point ``k``.
        semantic_map: ``(H, W)`` uint8, 0 background, ``k + 1`` class ``k``, 255 not sure.
        scores: ``(n,)`` float32 in ``[0, 1]``, the confidence in the mask of each point.
        semantic_argmax: ``(H, W)`` uint8, the most probable value of every pixel, without 255.
            None: ``semantic_map`` has no 255, or the method has no second choice there.
        reasons: per point '' or why it has no pixels, a key of
            :data:`mmp2seg.codecs.DROP_REASONS`. None: the method does not say.
        candidates: per point its masks before points competed for pixels, None for a point that
            takes no part. None: the method has one mask per point.
    """

    instance_map: npt.NDArray[np.int32]
    semantic_map: npt.NDArray[np.uint8]
    scores: npt.NDArray[np.float32]
    semantic_argmax: npt.NDArray[np.uint8] | None = None
    reasons: tuple[str, ...] | None = None
    candidates: tuple[PointCandidates | None, ...] | None = None


class PointSegmentationMethod(Protocol):
    """The interface of a method that turns the points of an image into a segmentation.

    A method with an attribute ``uses_semantic_map`` that is true gets one more argument,
    ``semantic_map``: ``(H, W)`` uint8, 0 background, ``k + 1`` class ``k``, 255 no prediction.
    """

    def __call__(
        self,
        image_rgb: npt.NDArray[np.uint8],
        *,
        points_xy: npt.NDArray[np.floating],
        labels: npt.NDArray[np.integer],
        num_classes: int,
        background_xy: npt.NDArray[np.floating] | None = None,
    ) -> PointSegmentation:
        """Segment one image.

        Args:
            image_rgb: ``(H, W, 3)`` uint8.
            points_xy: ``(n, 2)`` floats, continuous ``(x, y)`` in the frame of the image.
            labels: ``(n,)`` integers ``0..K-1``.
            num_classes: ``K``.
            background_xy: ``(m, 2)`` floats, clicks on background. None: there are none.
        """
        ...
