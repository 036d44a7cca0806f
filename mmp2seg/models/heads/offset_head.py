"""OffsetHead: from each pixel the vector to its object's point."""

import torch.nn.functional as F
from torch import Tensor

from mmp2seg.models.heads.dense_head import DenseHead
from mmp2seg.registry import MODELS


@MODELS.register_module()
class OffsetHead(DenseHead):
    """Offsets ``(dx, dy)`` in pixels of the network's input frame, whatever grid they are on.

    Args:
        align_corners: of the bilinear upsampling to the input's size.
        others: as of :class:`DenseHead`.
    """

    def __init__(self, *, align_corners: bool = False, **kwargs) -> None:
        super().__init__(out_channels=2, **kwargs)
        self.align_corners = align_corners

    def predict_by_feat(self, offset: Tensor, size: tuple[int, int]) -> Tensor:
        """``(B, 2, h, w)`` raw map -> ``(B, 2, H, W)`` float32; the values are not rescaled."""
        return F.interpolate(
            offset.float(), size=size, mode='bilinear', align_corners=self.align_corners
        )
