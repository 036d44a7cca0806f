"""Smooth-L1 loss of the offset field."""

from mmdet.models.losses import l1_loss, smooth_l1_loss
from torch import Tensor, nn

from mmp2seg.registry import MODELS


@MODELS.register_module()
class OffsetLoss(nn.Module):
    """Weighted smooth L1, summed over both channels and averaged over pixels of positive weight.

    L_off of the method: ``1 / |P| sum W(i, j) smoothL1(O^(i, j) - O(i, j))``, where O^ is the
    predicted and O the target offset, W the weight, and P the pixels of weight > 0 in the batch.

    Args:
        beta: threshold between the quadratic and the linear part of smooth L1, in pixels; 0 gives
            plain L1, as in the released code.
        loss_weight: factor of the loss; 0.01 in the released recipe.
    """

    def __init__(self, *, beta: float = 1.0, loss_weight: float = 0.01) -> None:
        super().__init__()
        if beta < 0:
            raise ValueError(f'expected beta >= 0, got {beta}')
        self.beta = beta
        self.loss_weight = loss_weight

    def forward(self, offset: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            offset: ``(B, 2, H, W)`` floats, in pixels.
            target: ``(B, 2, H, W)`` float32, in pixels.
            weight: ``(B, H, W)`` float32, at least 0.

        Returns:
            Tensor: a scalar; a zero with a graph if no pixel has a positive weight.
        """
        per_pixel = weight[:, None].expand_as(target)
        options = dict(weight=per_pixel, avg_factor=(weight > 0).sum().clamp(min=1))
        if self.beta == 0:
            return self.loss_weight * l1_loss(offset.float(), target, **options)
        return self.loss_weight * smooth_l1_loss(offset.float(), target, beta=self.beta, **options)
