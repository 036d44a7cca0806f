"""SemanticScorer: combine the network's probabilities, the weak map and the affinity to scores.

Dimensions: ``B`` images; ``K`` classes; ``V`` semantic values; ``H, W`` pixels; ``h, w`` cells of
the semantic head's map; ``h', w'`` cells of the embedding; ``D`` embedding channels.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.ops.affinity import propagate
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.semantic_scores import add_coarse_change, map_shares, resize_scores, value_probs


@dataclass(frozen=True)
class SemanticScorer:
    """Compute the scores whose argmax is the semantic map, in training and at inference.

    The affinity A propagates semantic scores C, ``S = A^(o beta) * C``, where ``o beta`` is the
    elementwise power. C is the weak map or the network's own probabilities. S is then mixed with
    the network's probabilities.

    Where the weak map gives no information, only the network's probabilities are used. This holds
    for images without a weak map, and for ignored pixels that no labelled pixel propagates to.

    Args:
        rounds: number of propagations; with 0, the affinity is not used.
        beta, threshold, radius: see :func:`mmp2seg.ops.affinity.propagate`; ``radius`` is in cells
            of the embedding.
        use_weak_map: use the weak map as C if the images have one; otherwise C is the network's
            probabilities.
        network_weight: share of the network's own probabilities in the result, in [0, 1].

    Raises:
        ValueError: ``rounds`` is negative or ``network_weight`` is outside [0, 1].
    """

    rounds: int = 0
    beta: float = 1.0
    threshold: float = 0.0
    radius: float | None = None
    use_weak_map: bool = False
    network_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.rounds < 0:
            raise ValueError(f'expected rounds >= 0, got {self.rounds}')
        if not 0 <= self.network_weight <= 1:
            raise ValueError(f'expected network_weight in [0, 1], got {self.network_weight}')

    def is_plain(self, weak_map: Tensor | None) -> bool:
        """Return whether the scores with this weak map are the network's own probabilities."""
        return self.rounds == 0 and (weak_map is None or not self.use_weak_map)

    def __call__(
        self,
        logits: Tensor,
        embedding: Tensor | None,
        values: Tensor,
        *,
        ignored: Tensor,
        weak_map: Tensor | None = None,
        align_corners: bool = False,
    ) -> Tensor:
        """Compute the scores of some semantic values.

        Args:
            logits: ``(B, K + 1, h, w)`` raw map of the semantic head.
            embedding: ``(B, D, h', w')``; None if ``rounds`` is 0.
            values: ``(V,)`` int64, see :func:`mmp2seg.ops.semantic_scores.image_values`, or ``(B,
                V)`` of each image, padded with -1, whose scores are 0.
            ignored: ``(B, H, W)`` bool, pixels that propagate nothing, such as padding.
            weak_map: ``(B, H, W)`` integers, 255 = ignore; None if the images have none.
            align_corners: option of the head's upsampling; applies to what comes from the logits,
                not to the weak map.

        Returns:
            Tensor: ``(B, V, H, W)`` float32, at least 0.
        """
        size = (ignored.shape[-2], ignored.shape[-1])
        probs = value_probs(logits, values, size, align_corners=align_corners)
        if self.is_plain(weak_map):
            return probs
        if weak_map is not None and self.use_weak_map:
            return self._with_weak_map(probs, embedding, values, ignored, weak_map)
        grid = (embedding.shape[-2], embedding.shape[-1])
        before = value_probs(logits, values, grid, align_corners=align_corners)
        valid = F.interpolate((~ignored)[:, None].float(), size=grid, mode='nearest-exact')[:, 0]
        after = self._propagate(embedding, before, valid > 0)
        scores = add_coarse_change(probs, before, after, align_corners=align_corners)
        return torch.lerp(scores.clamp(min=0), probs, self.network_weight)

    def _with_weak_map(
        self,
        probs: Tensor,
        embedding: Tensor | None,
        values: Tensor,
        ignored: Tensor,
        weak_map: Tensor,
    ) -> Tensor:
        """Propagate the scores of the weak map and mix them with the network's probabilities."""
        size = (ignored.shape[-2], ignored.shape[-1])
        grid = size if self.rounds == 0 else (embedding.shape[-2], embedding.shape[-1])
        ignored = ignored | (weak_map == IGNORE)
        shares = map_shares(weak_map, values, ignored, grid)
        labelled = ~ignored[:, None]
        if grid != size:
            labelled = F.interpolate(labelled.float(), size=grid, mode='area') > 0
        # One more channel shows where labelled cells contribute; it is 0 where none does.
        scores = torch.cat([shares, labelled.float()], dim=1)
        if self.rounds > 0:
            scores = self._propagate(embedding, scores, labelled[:, 0])
        # The shares are those of the cells' areas, whatever the head's upsampling.
        scores = resize_scores(scores, size)
        scores, known = scores[:, :-1], scores[:, -1:]
        known = known.clamp(max=1)  # rounding of the resize
        network_weight = self.network_weight + (1 - known) * (1 - self.network_weight)
        return torch.lerp(scores / known.clamp(min=1e-6), probs, network_weight)

    def _propagate(self, embedding: Tensor, scores: Tensor, valid: Tensor) -> Tensor:
        return propagate(
            embedding,
            scores,
            rounds=self.rounds,
            beta=self.beta,
            threshold=self.threshold,
            radius=self.radius,
            valid=valid,
        )
