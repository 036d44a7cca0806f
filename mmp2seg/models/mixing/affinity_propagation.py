"""A layer that propagates scores by affinity."""

from torch import Tensor, nn

from mmp2seg.ops.affinity import propagate
from mmp2seg.registry import MODELS


@MODELS.register_module()
class AffinityPropagation(nn.Module):
    """Layer for :func:`mmp2seg.ops.affinity.propagate`: ``S = A^(o beta) * C``.

    A is the affinity, C the input scores, S the output scores and ``o beta`` the elementwise power.
    The module has no parameters and passes no gradient.

    Args:
        rounds: number of propagations; 0 returns the scores unchanged.
        beta, threshold, radius: see :func:`mmp2seg.ops.affinity.propagate`; ``radius`` is in cells
            of the embedding's grid.

    Raises:
        ValueError: ``rounds`` is negative or ``beta`` is not positive.
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
            valid: ``(B, h, w)`` bool, the cells whose scores are used; all by default.

        Returns:
            Tensor: ``(B, C, h, w)``; each cell has a mean of scores, so probabilities remain
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
        """Return the arguments as text."""
        return (
            f'rounds={self.rounds}, beta={self.beta}, threshold={self.threshold}, '
            f'radius={self.radius}'
        )
