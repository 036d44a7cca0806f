"""Cross entropy over the hardest pixels."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmp2seg.ops.components import IGNORE
from mmp2seg.registry import MODELS


def hard_pixel_cross_entropy(
    logits: Tensor, target: Tensor, *, ratio: float, ignore_index: int = IGNORE
) -> Tensor:
    """Compute the mean cross entropy of each image's hardest pixels (L_seg of the paper).

    The hardest of the ``n`` labelled pixels of an image are the ``ceil(ratio * n)`` pixels with the
    highest loss. Padding and ignored pixels affect neither the loss nor the number of hard pixels.
    There is no device sync.

    Args:
        logits: ``(B, C, H, W)`` floats; computed in float32.
        target: ``(B, H, W)`` integers ``0..C-1`` or ``ignore_index``.
        ratio: share of pixels, in (0, 1].

    Returns:
        Tensor: mean over the images that have a labelled pixel; a zero with a graph if none has.
    """
    losses = F.cross_entropy(
        logits.float(), target.long(), ignore_index=ignore_index, reduction='none'
    ).flatten(1)  # (B, H, W) -> (B, H*W)
    labelled = (target != ignore_index).flatten(1)
    counts = labelled.sum(dim=1)
    if ratio < 1:
        num_hard = (counts * ratio).ceil()
        # Ignored pixels have loss 0. Rank them last, by a key below the loss of any labelled pixel.
        keys = losses.detach().masked_fill(~labelled, -1.0)
        most = math.ceil(losses.shape[1] * ratio)
        _, order = keys.topk(most, dim=1)
        rank = torch.arange(most, device=losses.device)
        chosen = rank < num_hard[:, None]
        image_losses = (losses.gather(1, order) * chosen).sum(dim=1) / num_hard.clamp(min=1)
    else:
        image_losses = losses.sum(dim=1) / counts.clamp(min=1)
    return image_losses.sum() / (counts > 0).sum().clamp(min=1)


@MODELS.register_module()
class HardPixelCrossEntropyLoss(nn.Module):
    """Cross entropy of the hardest pixels, see :func:`hard_pixel_cross_entropy`.

    Args:
        ratio: hard pixel ratio in (0, 1]; 0.2 is the paper's (table 5).
        loss_weight: factor of the loss.
        ignore_index: target value that is ignored.
    """

    def __init__(
        self, *, ratio: float = 0.2, loss_weight: float = 1.0, ignore_index: int = IGNORE
    ) -> None:
        super().__init__()
        if not 0 < ratio <= 1:
            raise ValueError(f'expected a hard pixel ratio in (0, 1], got {ratio}')
        self.ratio = ratio
        self.loss_weight = loss_weight
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the weighted loss of ``(B, C, H, W)`` logits and a ``(B, H, W)`` target."""
        loss = hard_pixel_cross_entropy(
            logits, target, ratio=self.ratio, ignore_index=self.ignore_index
        )
        return self.loss_weight * loss
