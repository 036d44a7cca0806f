"""SemanticHead: class scores per pixel."""

import torch.nn.functional as F
from torch import Tensor

from mmp2seg.models.heads.dense_head import DenseHead
from mmp2seg.registry import MODELS


@MODELS.register_module()
class SemanticHead(DenseHead):
    """Scores of background and the K classes at every pixel, trained on the weak map.

    Args:
        num_classes: K, background not counted.
        loss_semantic: config of the loss, called with ``(logits, target)``.
        align_corners: of the bilinear upsampling to the input's size.
        others: as of :class:`DenseHead`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        loss_semantic: dict | None = None,
        align_corners: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(out_channels=num_classes + 1, **kwargs)
        self.num_classes = num_classes
        self.align_corners = align_corners
        loss_semantic = loss_semantic or dict(type='mmp2seg.HardPixelCrossEntropyLoss')
        self.loss_semantic = MODELS.build(loss_semantic)

    def upsample(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """``(B, K + 1, h, w)`` logits -> ``(B, K + 1, H, W)`` float32 logits of ``size``."""
        return F.interpolate(
            logits.float(), size=size, mode='bilinear', align_corners=self.align_corners
        )

    def loss_by_feat(self, logits: Tensor, semantic_map: Tensor) -> dict[str, Tensor]:
        """L_seg.

        Args:
            logits: ``(B, K + 1, h, w)``, of any resolution.
            semantic_map: ``(B, H, W)`` int64, 255 = ignore.

        Returns:
            dict: ``loss_semantic``, a scalar.
        """
        upsampled = self.upsample(logits, tuple(semantic_map.shape[-2:]))
        return dict(loss_semantic=self.loss_semantic(upsampled, semantic_map))

    def predict_by_feat(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Probabilities ``(B, K + 1, H, W)`` float32 of ``size``."""
        return self.upsample(logits, size).softmax(dim=1)
