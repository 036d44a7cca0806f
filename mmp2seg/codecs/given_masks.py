"""Masks and boxes that are known for some points of an image, among points that have none.

A box limits the pixels that its point can have. A mask is a limit that the point has all of.

Dimensions: ``H, W`` pixels of a frame; ``N`` points; ``L`` of them with a mask or a box; ``V``
semantic values.
"""

import dataclasses
import functools
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.ops.grouping import nearest_point, nearest_point_within
from mmp2seg.ops.windows import Box


@dataclass(frozen=True)
class GivenMasks:
    """The known masks and boxes of an image.

    Attributes:
        points: ``(L,)`` int64, the indices of their points, ascending.
        limits: ``(L, H, W)`` bool, the pixels of each mask or box.
        is_mask: ``(L,)`` bool, whether it is a mask.
        areas: ``(L,)`` int64, pixels of each in the whole frame, so that a window of it has the
            same order of masks. None: the limits are of the whole frame.
    """

    points: Tensor
    limits: Tensor
    is_mask: Tensor
    areas: Tensor | None = None

    def __post_init__(self) -> None:
        """Compute the areas."""
        if self.areas is None:
            object.__setattr__(self, 'areas', self.limits.flatten(1).sum(1))

    @functools.cached_property
    def owners(self) -> Tensor:
        """``(H, W)`` int32: 0 no mask, ``n + 1`` the mask of point n; the smallest of several."""
        owners = torch.zeros(self.limits.shape[1:], dtype=torch.int32, device=self.limits.device)
        assert self.areas is not None
        for index in self.areas.argsort(descending=True, stable=True):
            pixels = self.limits[index] & self.is_mask[index]
            owners = torch.where(pixels, (self.points[index] + 1).int(), owners)
        return owners

    def to(self, device: torch.device) -> 'GivenMasks':
        """Return the same on another device."""
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return GivenMasks(*(value.to(device) for value in values))

    def of_points(self, chosen: Tensor) -> 'GivenMasks':
        """Return those of some points, which are numbered by their places in ``chosen``.

        Args:
            chosen: ``(n,)`` int64, indices of points, ascending.
        """
        assert self.areas is not None
        kept = torch.isin(self.points, chosen)
        return GivenMasks(
            torch.searchsorted(chosen, self.points[kept]),
            self.limits[kept],
            self.is_mask[kept],
            self.areas[kept],
        )

    def cropped(self, box: Box) -> 'GivenMasks':
        """Return those of a window of the frame."""
        return dataclasses.replace(self, limits=self.limits[:, box[0], box[1]])

    def pooled(self, stride: int) -> 'GivenMasks':
        """Return those on a coarser grid: a cell belongs to a limit if most of its pixels do."""
        if stride == 1 or not len(self.points):
            height, width = self.limits.shape[1:]
            size = (len(self.points), math.ceil(height / stride), math.ceil(width / stride))
            return dataclasses.replace(self, limits=self.limits.view(size))
        shares = F.avg_pool2d(
            self.limits[None].float(), stride, ceil_mode=True, count_include_pad=False
        )
        return dataclasses.replace(self, limits=shares[0] > 0.5)

    def fix(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Take away what is outside of a limit, and give each mask its pixels.

        Args:
            scores: ``(N + 1, H, W)`` floats of all points, background last.

        Returns:
            tuple: the scores, which are 1 for the point and 0 for all else in a mask, and ``(H,
            W)`` bool, the pixels of masks.
        """
        scores = scores.clone()
        scores[self.points] *= self.limits
        owners = self.owners
        one_hot = torch.zeros_like(scores).scatter_(0, (owners.long() - 1).clamp_min(0)[None], 1)
        return torch.where(owners > 0, one_hot, scores), owners > 0

    def paint(self, instance_map: Tensor) -> Tensor:
        """Draw the masks over an ``(H, W)`` int32 instance map of all points."""
        owners = self.owners
        return torch.where(owners > 0, owners, instance_map)


def divide_by_nearest(
    positions_xy: Tensor,
    points_xy: Tensor,
    *,
    position_groups: Tensor,
    point_groups: Tensor,
    given: GivenMasks | None,
    max_distance: float = math.inf,
) -> Tensor:
    """Divide groups of pixels among their points, with masks and limits of some points.

    Args:
        given: None: there are none. The others are those of
            :func:`mmp2seg.ops.grouping.nearest_point`.

    Returns:
        Tensor: ``(H, W)`` int32 instance map. A mask has all of its pixels, whatever their group.
    """
    if given is None:
        return nearest_point(
            positions_xy,
            points_xy,
            position_groups=position_groups,
            point_groups=point_groups,
            max_distance=max_distance,
        )
    masks, boxes = given.is_mask, ~given.is_mask
    instance_map = nearest_point_within(
        positions_xy,
        points_xy,
        position_groups=position_groups,
        # a point with a mask has no other pixels, and those of the mask are drawn
        point_groups=point_groups.index_fill(0, given.points[masks], 0),
        limited=given.points[boxes],
        limits=given.limits[boxes],
        max_distance=max_distance,
    )
    return given.paint(instance_map)
