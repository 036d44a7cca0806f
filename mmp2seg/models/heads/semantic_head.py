"""SemanticHead: class scores per pixel."""

import torch.nn.functional as F
from torch import Tensor

from mmp2seg.models.heads.dense_head import DenseHead
from mmp2seg.registry import MODELS


@MODELS.register_module()
class SemanticHead(DenseHead):
    """Scores of background and the K classes at every pixel.

    Args:
        num_classes: K, background not counted.
        align_corners: of the bilinear upsampling to the input's size.
        others: as of :class:`DenseHead`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        align_corners: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(out_channels=num_classes + 1, **kwargs)
        self.num_classes = num_classes
        self.align_corners = align_corners

    def upsample(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """``(B, K + 1, h, w)`` logits -> ``(B, K + 1, H, W)`` float32 logits of ``size``."""
        return F.interpolate(
            logits.float(), size=size, mode='bilinear', align_corners=self.align_corners
        )

    def predict_by_feat(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Probabilities ``(B, K + 1, H, W)`` float32 of ``size``."""
        return self.upsample(logits, size).softmax(dim=1)
