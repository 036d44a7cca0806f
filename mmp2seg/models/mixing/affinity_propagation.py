"""Propagation of scores by affinity as a layer."""

from torch import Tensor, nn

from mmp2seg.ops.affinity import propagate
from mmp2seg.registry import MODELS


@MODELS.register_module()
class AffinityPropagation(nn.Module):
    """Module of :func:`mmp2seg.ops.affinity.propagate`: ``S = A^(o beta) * C``.

    A is the affinity, C the scores that go in, S the scores that come out. The module has no
    parameters and passes no gradient.

    Args:
        rounds: number of propagations; 0 returns the scores.
        beta, threshold, radius: see :func:`mmp2seg.ops.affinity.propagate`; ``radius`` is in cells
            of the embedding's grid.

    Raises:
        ValueError: for negative ``rounds``, or a ``beta`` that is not positive.
    """

    def __init__(
        self,
        *,
        rounds: int = 1,
        beta: float = 1.0,
        threshold: float = 0.0,
        radius: float | None = None,
    ) -> None:
        super().__init__()
        if rounds < 0:
            raise ValueError(f'expected rounds >= 0, got {rounds}')
        if not beta > 0:
            raise ValueError(f'expected beta > 0, got {beta}')
        self.rounds = rounds
        self.beta = beta
        self.threshold = threshold
        self.radius = radius

    def forward(self, embedding: Tensor, scores: Tensor, valid: Tensor | None = None) -> Tensor:
        """Propagate the scores of a batch.

        Args:
            embedding: ``(B, D, h, w)`` floats.
            scores: ``(B, C, h, w)`` floats, such as probabilities.
            valid: ``(B, h, w)`` bool, the cells whose scores take part; all by default.

        Returns:
            Tensor: ``(B, C, h, w)``; a mean of scores in every cell, so that probabilities stay
            probabilities.
        """
        return propagate(
            embedding,
            scores,
            rounds=self.rounds,
            beta=self.beta,
            threshold=self.threshold,
            radius=self.radius,
            valid=valid,
        )

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            f'rounds={self.rounds}, beta={self.beta}, threshold={self.threshold}, '
            f'radius={self.radius}'
        )
