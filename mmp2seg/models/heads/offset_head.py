"""OffsetHead: from each pixel the vector to its object's point."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from mmp2seg.models.heads.dense_head import DenseHead
from mmp2seg.registry import MODELS


@MODELS.register_module()
class OffsetHead(DenseHead):
    """Offsets ``(dx, dy)`` in pixels of the network's input frame, whatever grid they are on.

    Args:
        loss_offset: config of the loss, called with ``(offset, target, weight)``.
        align_corners: of the bilinear upsampling to the input's size.
        others: as of :class:`DenseHead`.
    """

    def __init__(
        self, *, loss_offset: dict | None = None, align_corners: bool = False, **kwargs
    ) -> None:
        super().__init__(out_channels=2, **kwargs)
        self.align_corners = align_corners
        self.loss_offset = MODELS.build(loss_offset or dict(type='mmp2seg.OffsetLoss'))

    def predict_by_feat(self, offset: Tensor, size: tuple[int, int]) -> Tensor:
        """``(B, 2, h, w)`` raw map -> ``(B, 2, H, W)`` float32; the values are not rescaled."""
        return F.interpolate(
            offset.float(), size=size, mode='bilinear', align_corners=self.align_corners
        )

    def loss_by_feat(
        self, offset: Tensor, targets: Sequence[tuple[Tensor, Tensor]]
    ) -> dict[str, Tensor]:
        """L_off, averaged over the given targets (initial and refined).

        Args:
            offset: ``(B, 2, H, W)`` float32, upsampled to the targets' size.
            targets: pairs of ``(B, 2, H, W)`` offsets and ``(B, H, W)`` weights.

        Returns:
            dict: ``loss_offset``, a scalar.
        """
        losses = [self.loss_offset(offset, target, weight) for target, weight in targets]
        return dict(loss_offset=sum(losses) / len(losses))
