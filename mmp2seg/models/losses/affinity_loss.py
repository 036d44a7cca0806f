"""Balanced pair loss of the affinities (L_I2S, instance to semantic)."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmp2seg.ops.affinity import BACKGROUND_RULES, pair_loss
from mmp2seg.registry import MODELS


@MODELS.register_module()
class AffinityLoss(nn.Module):
    """Mean over images and maps of :func:`mmp2seg.ops.affinity.pair_loss`.

    Args:
        background: how pairs with a background pixel are treated. ``'ignore'``: they are ignored.
            ``'different'``: as pairs of different instances. ``'separate'``: the same, but they are
            averaged separately. ``'instance'``: the background counts as one more instance.
        ignored_as_background: treat ignored pixels as background.
        loss_weight: factor of the loss (1 in the released recipe).

    Raises:
        ValueError: ``background`` is unknown.
    """

    def __init__(
        self,
        *,
        background: str = 'ignore',
        ignored_as_background: bool = False,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if background not in BACKGROUND_RULES:
            raise ValueError(f'expected background in {BACKGROUND_RULES}, got {background!r}')
        self.background = background
        self.ignored_as_background = ignored_as_background
        self.loss_weight = loss_weight

    def forward(self, embedding: Tensor, instance_maps: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            embedding: ``(B, D, h, w)`` floats.
            instance_maps: ``(B, M, H, W)`` int32 of any resolution, read at the centres of the
                embedding's cells: 1..N an instance, 0 background, -1 ignored.

        Returns:
            Tensor: a scalar; a zero with a graph if there is no pair.
        """
        grid = tuple(embedding.shape[-2:])
        # torch cannot interpolate integers; float32 represents the ids exactly.
        maps = F.interpolate(instance_maps.float(), size=grid, mode='nearest-exact').int()
        losses = pair_loss(
            embedding,
            maps,
            background=self.background,
            ignored_as_background=self.ignored_as_background,
        )
        return self.loss_weight * losses.mean()
