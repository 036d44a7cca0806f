"""Cross entropy of semantic scores that the affinity has propagated."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmp2seg.ops.affinity.local import local_propagation
from mmp2seg.ops.components import IGNORE
from mmp2seg.registry import MODELS

_SMALLEST = 1e-6  # probabilities are kept off 0 by this before a logarithm


@MODELS.register_module()
class PropagationLoss(nn.Module):
    """Train the affinity by what it is for: the cross entropy of ``S = A^(o beta) * C``.

    C are the semantic head's probabilities, S what
    :func:`mmp2seg.ops.affinity.local.local_propagation` makes of them. The semantic head gets no
    gradient. An embedding learns which near cells have the same class; its affinity of a click to
    far cells follows from that. Time is linear in the number of cells, unlike that of
    :class:`mmp2seg.models.AffinityLoss`.

    Args:
        radius: largest distance of two cells that propagate to each other, in cells.
        beta: Hadamard power of the affinity.
        loss_weight: factor of the loss.

    Attributes:
        needs_scores: True: calls must have ``semantic_logits`` and ``semantic_targets``.

    Raises:
        ValueError: ``radius`` is below 1 or ``beta`` is not positive.
    """

    needs_scores = True

    def __init__(self, *, radius: float = 3.0, beta: float = 1.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if radius < 1 or not beta > 0:
            raise ValueError(f'expected radius >= 1 and beta > 0, got {radius} and {beta}')
        self.radius = radius
        self.beta = beta
        self.loss_weight = loss_weight

    def forward(
        self,
        embedding: Tensor,
        instance_maps: Tensor,
        *,
        semantic_logits: Tensor,
        semantic_targets: Sequence[Tensor],
    ) -> Tensor:
        """Compute the loss of a batch.

        Maps of targets are read at the centres of the embedding's cells.

        Args:
            embedding: ``(B, D, h, w)`` floats.
            instance_maps: ``(B, M, H, W)`` int32, -1 = ignored, such as regions without a point.
            semantic_logits: ``(B, K + 1, H, W)`` floats.
            semantic_targets: at most M maps ``(B, H, W)``, 0 background, k + 1 class k, 255 ignore.
                Target m is ignored where instance map m is.

        Returns:
            Tensor: the mean over targets and images of an image's mean cross entropy; a zero with a
            graph if there is no labelled cell.
        """
        grid = (embedding.shape[-2], embedding.shape[-1])
        # padding, which no target labels, propagates nothing
        valid = torch.stack([target != IGNORE for target in semantic_targets], 1).any(1)
        valid = F.interpolate(valid[:, None].float(), size=grid, mode='nearest-exact')[:, 0] > 0
        targets = torch.stack(
            [
                target.masked_fill(instance_maps[:, index] < 0, IGNORE)
                for index, target in enumerate(semantic_targets)
            ],
            dim=1,
        )
        targets = F.interpolate(targets.float(), size=grid, mode='nearest-exact').long()
        with torch.no_grad():
            logits = F.interpolate(semantic_logits.float(), size=grid, mode='area')
            probs = logits.softmax(1)
        scores = local_propagation(
            embedding, probs, radius=self.radius, beta=self.beta, valid=valid
        )
        logs = scores.clamp_min(_SMALLEST).log()
        counts = (targets != IGNORE).sum((2, 3))  # (B, M)
        sums = torch.stack(
            [
                F.nll_loss(logs, target, ignore_index=IGNORE, reduction='none').sum((1, 2))
                for target in targets.unbind(1)
            ],
            dim=1,
        )
        means = sums / counts.clamp_min(1)
        return self.loss_weight * means.sum() / (counts > 0).sum().clamp_min(1)
