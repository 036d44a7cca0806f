"""Loss of mutual distillation: lambda_s2i * (L_off + L_seg) + lambda_i2s * L_I2S.

L_seg trains the semantic head, L_off the offset head, L_I2S the affinity head.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from mmp2seg.deprecation import warn_deprecated
from mmp2seg.registry import MODELS


@MODELS.register_module()
class MDMLoss(nn.Module):
    """Semantic, offset and affinity loss of a batch, each averaged over its targets.

    Args:
        lambda_s2i: weight of L_S2I = L_off + L_seg.
        lambda_i2s: weight of L_I2S.
        hard_pixel_ratio: deprecated, write ``loss_semantic=dict(ratio=...)``.
        loss_semantic: config of L_seg, called with ``(logits, target)``; its ``ratio`` is the hard
            pixel ratio of table 5.
        loss_offset: config of L_off, called with ``(offset, target, weight)``.
        loss_affinity: config of L_I2S, called with ``(embedding, instance_maps)``; if its class has
            ``needs_scores = True``, also with ``semantic_logits`` and ``semantic_targets`` by name.
    """

    def __init__(
        self,
        *,
        lambda_s2i: float = 1.0,
        lambda_i2s: float = 1.0,
        hard_pixel_ratio: float | None = None,
        loss_semantic: dict | None = None,
        loss_offset: dict | None = None,
        loss_affinity: dict | None = None,
    ) -> None:
        super().__init__()
        loss_semantic = loss_semantic or dict(type='mmp2seg.HardPixelCrossEntropyLoss')
        if hard_pixel_ratio is not None:
            warn_deprecated(
                'mdm_loss.hard_pixel_ratio is deprecated: write mdm_loss.loss_semantic.ratio'
            )
            loss_semantic = {**loss_semantic, 'ratio': hard_pixel_ratio}
        self.lambda_s2i = lambda_s2i
        self.lambda_i2s = lambda_i2s
        self.loss_semantic = MODELS.build(loss_semantic)
        self.loss_offset = MODELS.build(loss_offset or dict(type='mmp2seg.OffsetLoss'))
        self.loss_affinity = MODELS.build(loss_affinity or dict(type='mmp2seg.AffinityLoss'))

    def forward(
        self,
        *,
        semantic_logits: Tensor,
        semantic_targets: Sequence[Tensor],
        offset: Tensor,
        offset_targets: Sequence[tuple[Tensor, Tensor]],
        embedding: Tensor | None = None,
        instance_maps: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute the weighted losses.

        Args:
            semantic_logits: ``(B, K + 1, H, W)`` float32, upsampled to the targets' size.
            semantic_targets: ``(B, H, W)`` integers each, 255 = ignore.
            offset: ``(B, 2, H, W)`` float32 ``(dx, dy)``, upsampled to the targets' size.
            offset_targets: pairs of ``(B, 2, H, W)`` offsets and ``(B, H, W)`` weights.
            embedding: ``(B, D, h, w)`` floats, or None for a network without an affinity head.
            instance_maps: ``(B, M, H, W)`` int32, 0 background, -1 ignored.

        Returns:
            dict: the scalars ``loss_semantic``, ``loss_offset`` and, with an embedding,
            ``loss_affinity``.
        """
        semantic = [self.loss_semantic(semantic_logits, target) for target in semantic_targets]
        offsets = [self.loss_offset(offset, *target) for target in offset_targets]
        losses = dict(
            loss_semantic=self.lambda_s2i * sum(semantic) / len(semantic),
            loss_offset=self.lambda_s2i * sum(offsets) / len(offsets),
        )
        if embedding is not None:
            scores = {}
            if getattr(self.loss_affinity, 'needs_scores', False):
                scores = dict(semantic_logits=semantic_logits, semantic_targets=semantic_targets)
            affinity = self.loss_affinity(embedding, instance_maps, **scores)
            losses['loss_affinity'] = self.lambda_i2s * affinity
        return losses
