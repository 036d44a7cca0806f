"""Affinities: interchangeable parts that propagate scores of an image, such as instance scores.

Dimensions: ``N`` score maps; ``H, W`` pixels; ``D`` channels and ``h, w`` cells of the embedding.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from mmp2seg.ops.affinity.guided import guided_propagation
from mmp2seg.ops.semantic_scores import resize_scores
from mmp2seg.registry import TASK_UTILS


class Affinity(Protocol):
    """What propagates scores; the classes of this module.

    Every pixel gets a weighted mean of other pixels' scores. The sum of a pixel's scores stays the
    same up to rounding, and constant maps stay constant.
    """

    @property
    def reach(self) -> int | None:
        """Distance in pixels of the farthest scores and colours that a result depends on.

        None means the whole image. A result inside a window equals that of the whole image where
        the window goes on by this distance, if it gets the part of the embedding that belongs to
        it.
        """

    @property
    def needs_embedding(self) -> bool:
        """Whether calls must have an embedding."""

    def __call__(
        self,
        scores: Tensor,
        *,
        image: Tensor,
        embedding: Tensor | None = None,
        valid: Tensor | None = None,
        fixed: Tensor | None = None,
    ) -> Tensor:
        """Propagate the scores of an image.

        Args:
            scores: ``(N, H, W)`` floats >= 0; the N scores of a pixel sum to 1.
            image: ``(C, H, W)`` floats; neither the scale nor the offset of a channel matters.
            embedding: ``(D, h, w)`` floats on a grid of its own; unused if it is not needed.
            valid: ``(H, W)`` bool; all by default. Other pixels, such as padding, keep their scores
                and change no others.
            fixed: ``(H, W)`` bool, pixels that keep their scores and give them to others, such as
                clicks; none by default.

        Returns:
            Tensor: ``(N, H, W)`` >= 0, with the dtype of ``scores``.

        Raises:
            ValueError: the embedding is missing, or sizes differ.
        """


@TASK_UTILS.register_module()
class GuidedAffinity:
    """Propagate scores between near pixels of similar colour.

    See :func:`mmp2seg.ops.affinity.guided.guided_propagation`.

    Args:
        iterations: number of steps; 0 returns the scores.
        dilations: distances to the neighbours, in pixels.
        color_scale: how different the colours of two neighbours may be, in standard deviations.
        position_weight: share of the distance's term.
        use_embedding: multiply the weights by ``sigmoid(e_i . e_j)^beta``. The embedding is resized
            to the image.
        beta: power of this factor, at least 0.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        *,
        iterations: int = 5,
        dilations: Sequence[int] = (1, 2, 4, 8),
        color_scale: float = 0.3,
        position_weight: float = 0.01,
        use_embedding: bool = False,
        beta: float = 1.0,
    ) -> None:
        if not dilations or min(dilations) < 1:
            raise ValueError(f'expected dilations of at least 1, got {tuple(dilations)}')
        if iterations < 0 or not color_scale > 0 or position_weight < 0 or beta < 0:
            raise ValueError(
                'expected iterations, position_weight and beta >= 0 and color_scale > 0, got '
                f'{iterations}, {position_weight}, {beta} and {color_scale}'
            )
        self.iterations = iterations
        self.dilations = tuple(dilations)
        self.color_scale = color_scale
        self.position_weight = position_weight
        self.use_embedding = use_embedding
        self.beta = beta

    @property
    def reach(self) -> int:
        """Distance in pixels of the farthest scores and colours that a result depends on."""
        # the weights of the farthest pixel also depend on its neighbours' colours
        return (self.iterations + 1) * max(self.dilations) if self.iterations else 0

    @property
    def needs_embedding(self) -> bool:
        """Whether calls must have an embedding."""
        return self.use_embedding

    def __call__(
        self,
        scores: Tensor,
        *,
        image: Tensor,
        embedding: Tensor | None = None,
        valid: Tensor | None = None,
        fixed: Tensor | None = None,
    ) -> Tensor:
        """Propagate the scores of an image, see :class:`Affinity`."""
        features = None
        if self.use_embedding:
            embedding = _require_embedding(self, embedding)
            features = resize_scores(
                embedding[None].to(torch.promote_types(embedding.dtype, torch.float32)),
                (scores.shape[-2], scores.shape[-1]),
            )[0]
        return guided_propagation(
            scores,
            image,
            iterations=self.iterations,
            dilations=self.dilations,
            color_scale=self.color_scale,
            position_weight=self.position_weight,
            valid=valid,
            fixed=fixed,
            embedding=features,
            beta=self.beta,
        )


def _require_embedding(affinity: Affinity, embedding: Tensor | None) -> Tensor:
    if embedding is None or embedding.dim() != 3:
        got = 'None' if embedding is None else f'the shape {tuple(embedding.shape)}'
        raise ValueError(
            f'expected an embedding (D, h, w) for {type(affinity).__name__}, got {got}'
        )
    return embedding
