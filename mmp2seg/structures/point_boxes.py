"""PointBoxes: points as an mmdet box type, so that mmdet's transforms move them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from mmdet.structures.bbox import BaseBoxes, register_box
from torch import Tensor

from mmp2seg.ops.coords import keep_off_border
from mmp2seg.ops.image_edge import BORDER_MARGIN


# `force` because a second import under another module name must not break a config.
@register_box('point', force=True)
class PointBoxes(BaseBoxes):
    """Points ``(x, y)`` for mmdet's Resize, RandomFlip, RandomCrop, RandomAffine and others.

    Coordinates are continuous (pixel centres at ``+0.5``). A point has no extent: areas, widths and
    heights are 0, and ``resize_`` has no effect. ``clip_`` does not move a point from outside the
    image onto the border; transforms drop such a point because ``is_inside`` is False.

    A point inside an image stays inside under every flip and resize, because a margin separates it
    from the right and the lower border; see :func:`mmp2seg.ops.coords.keep_off_border`.

    Args:
        data: ``(N, 2)`` floats; see :class:`mmdet.structures.bbox.BaseBoxes` for other arguments.
    """

    box_dim = 2
    tensor: Tensor

    @property
    def centers(self) -> Tensor:
        """The points themselves, ``(..., 2)``."""
        return self.tensor

    @property
    def areas(self) -> Tensor:
        """Zeros ``(...,)``."""
        return torch.zeros_like(self.tensor[..., 0])

    @property
    def widths(self) -> Tensor:
        """Zeros ``(...,)``."""
        return self.areas

    @property
    def heights(self) -> Tensor:
        """Zeros ``(...,)``."""
        return self.areas

    def flip_(self, img_shape: tuple[int, int], direction: str = 'horizontal') -> None:
        """Flip in place: ``W - x`` and ``H - y``.

        ``x = 0`` is on the first pixel. It becomes a number just below ``W``, which is on the last
        pixel; ``W`` itself is outside.

        Args:
            img_shape: ``(H, W)``.
            direction: ``'horizontal'``, ``'vertical'`` or ``'diagonal'``.
        """
        if direction not in ('horizontal', 'vertical', 'diagonal'):
            raise ValueError(
                f"expected direction 'horizontal', 'vertical' or 'diagonal', got {direction!r}"
            )
        height, width = img_shape
        flipped = self.tensor.clone()
        if direction != 'vertical':
            flipped[..., 0] = width - self.tensor[..., 0]
        if direction != 'horizontal':
            flipped[..., 1] = height - self.tensor[..., 1]
        # Coordinates in [0, side) are now in (0, side]; move them back into [0, side).
        sides = flipped.new_tensor([width, height])
        inside = (self.tensor >= 0) & (self.tensor < sides)
        last = sides * (1 - BORDER_MARGIN)
        self.tensor = torch.where(inside, torch.minimum(flipped, last), flipped)

    def translate_(self, distances: tuple[float, float]) -> None:
        """Move in place by ``(dx, dy)``."""
        self.tensor = self.tensor + self.tensor.new_tensor(distances)

    def clip_(self, img_shape: tuple[int, int]) -> None:
        """Move points inside the image off the border; a point outside stays outside.

        Args:
            img_shape: ``(H, W)``.
        """
        self.tensor = keep_off_border(self.tensor, *img_shape[:2])

    def rotate_(self, center: tuple[float, float], angle: float) -> None:
        """Rotate in place about ``center`` by ``angle`` degrees, clockwise on screen."""
        radians = np.deg2rad(angle)
        cos, sin = float(np.cos(radians)), float(np.sin(radians))
        matrix = self.tensor.new_tensor([[cos, -sin], [sin, cos]])
        origin = self.tensor.new_tensor(center)
        self.tensor = (self.tensor - origin) @ matrix.T + origin

    def project_(self, homography_matrix: Tensor | npt.NDArray[np.floating]) -> None:
        """Transform in place by a ``(3, 3)`` homography."""
        matrix = torch.as_tensor(
            homography_matrix, dtype=self.tensor.dtype, device=self.tensor.device
        )
        homogeneous = torch.cat([self.tensor, torch.ones_like(self.tensor[..., :1])], dim=-1)
        projected = homogeneous @ matrix.T
        self.tensor = projected[..., :2] / projected[..., 2:]

    def rescale_(self, scale_factor: tuple[float, float]) -> None:
        """Scale in place with the image; ``scale_factor`` is ``(w_scale, h_scale)``."""
        self.tensor = self.tensor * self.tensor.new_tensor(scale_factor)

    def resize_(self, scale_factor: tuple[float, float]) -> None:
        """Do nothing: mmdet scales the extent of a box here, and a point has none."""

    def is_inside(
        self,
        img_shape: tuple[int, int],
        all_inside: bool = False,
        allowed_border: int = 0,
    ) -> Tensor:
        """Return which points lie inside the image.

        Args:
            img_shape: ``(H, W)``.
            all_inside: ignored, because a point cannot be partly inside.
            allowed_border: distance outside the image, in pixels, that still counts as inside.

        Returns:
            Tensor: bool, ``(...,)``.
        """
        height, width = img_shape
        x, y = self.tensor[..., 0], self.tensor[..., 1]
        return (
            (x >= -allowed_border)
            & (x < width + allowed_border)
            & (y >= -allowed_border)
            & (y < height + allowed_border)
        )

    def find_inside_points(self, points: Tensor, is_aligned: bool = False) -> Tensor:
        """Return which query points lie in the boxes: a query point must equal the box's point.

        Args:
            points: ``(M, 2)`` query points.
            is_aligned: compare pair by pair (``M == N``).

        Returns:
            Tensor: bool, ``(M, N)``, or ``(M,)`` if aligned.
        """
        if is_aligned:
            return (points == self.tensor).all(dim=-1)
        return (points[:, None] == self.tensor[None]).all(dim=-1)

    @staticmethod
    def overlaps(
        boxes1: BaseBoxes,
        boxes2: BaseBoxes,
        mode: str = 'iou',
        is_aligned: bool = False,
        eps: float = 1e-6,
    ) -> Tensor:
        """Return the overlap of points: 1 where they are equal, else 0.

        Returns:
            Tensor: ``(N, M)``, or ``(N,)`` if aligned.
        """
        same: Tensor = boxes2.find_inside_points(boxes1.tensor, is_aligned)
        return same.float()

    @staticmethod
    def from_instance_masks(masks: Sequence[object]) -> 'PointBoxes':
        """Raise TypeError: points are annotated, not derived from masks."""
        raise TypeError('expected points from the annotation; PointBoxes cannot come from masks')
