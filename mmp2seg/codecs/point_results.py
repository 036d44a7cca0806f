"""What the point pseudo-labeler returns.

Dimensions: ``H, W`` pixels of a frame; ``N`` points; ``M <= N`` instances.
"""

from dataclasses import dataclass

from torch import Tensor

DROP_REASONS = ('duplicate', 'outside_image', 'no_region', 'no_pixels')


@dataclass
class PointTargets:
    """What the offset head is trained on, and what a refinement needs to know of the image.

    Attributes:
        instance_map: ``(H, W)`` int32, 0 = none, ``n + 1`` = pixels of point ``n``.
        offset: ``(2, H, W)`` float32 ``(dx, dy)`` in pixels of this frame, 0 outside instances.
        weight: ``(H, W)`` float32, 1 on instances, 0 elsewhere.
        region_map: ``(H, W)`` int32, components of the classes that have points, 0 = none.
        point_regions: ``(N,)`` int64, the region of each point, 0 = none.
    """

    instance_map: Tensor
    offset: Tensor
    weight: Tensor
    region_map: Tensor
    point_regions: Tensor


@dataclass
class PointInstances:
    """Decoded instances; every point is either in ``kept`` or in ``dropped``.

    Attributes:
        masks: ``(M, H, W)`` bool, disjoint and not empty.
        scores: ``(M,)`` float32, mean probability of the instance's class over its mask.
        kept: ``(M,)`` int64, index of each instance's point.
        dropped: ``(N - M,)`` int64, indices of the points without an instance.
        reasons: for each dropped point one of :data:`DROP_REASONS`.
        semantic_map: ``(H, W)`` int64, the map the instances were cut from.
    """

    masks: Tensor
    scores: Tensor
    kept: Tensor
    dropped: Tensor
    reasons: list[str]
    semantic_map: Tensor
