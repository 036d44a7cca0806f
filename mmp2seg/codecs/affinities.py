"""Affinities: interchangeable parts that propagate scores of an image, such as instance scores.

Dimensions: ``N`` score maps; ``H, W`` pixels; ``D`` channels and ``h, w`` cells of the embedding.
"""

from collections.abc import MutableMapping, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.ops.affinity import propagate
from mmp2seg.ops.affinity.guided import guided_propagation
from mmp2seg.ops.random_walker import edge_weights, random_walker
from mmp2seg.ops.semantic_scores import add_coarse_change, resize_scores
from mmp2seg.registry import TASK_UTILS


class Affinity(Protocol):
    """What propagates scores; the classes of this module.

    Every pixel gets a weighted mean of other pixels' scores. The sum of a pixel's scores stays the
    same up to rounding, and constant maps stay constant.
    """

    @property
    def reach(self) -> int | None:
        """Distance in pixels of the farthest scores and colours that a result depends on.

        None means the whole image. With a window of the scores and the image, the results farther
        than this from its border equal those of the whole image.
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
        memo: MutableMapping[str, Any] | None = None,
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
            memo: a dict, empty at first, for what does not depend on ``scores`` and ``fixed``. Use
                it again with the same image, embedding and ``valid`` only.

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

    Attributes:
        takes_batches: True: all tensors of a call can have a leading dimension of images. A class
            that inherits from this one must say it anew.

    Raises:
        ValueError: an option is out of its range.
    """

    takes_batches = True

    def __init__(
        self,
        *,
        iterations: int = 5,
        dilations: Sequence[int] = (1, 2, 4),
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
        return self.iterations * max(self.dilations)

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
        memo: MutableMapping[str, Any] | None = None,
    ) -> Tensor:
        """Propagate the scores of an image, see :class:`Affinity`."""
        features = None
        if self.use_embedding:
            embedding = _require_embedding(self, embedding, num_dims=scores.dim())
            maps = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
            batch = maps if maps.dim() == 4 else maps[None]
            features = resize_scores(batch, (scores.shape[-2], scores.shape[-1])).view(
                *maps.shape[:-2], *scores.shape[-2:]
            )
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
            memo=memo,
        )


@TASK_UTILS.register_module()
class PairwiseAffinity:
    """Propagate scores by the embedding alone, between all pixels: the paper's I2S.

    See :func:`mmp2seg.ops.affinity.propagate`. The scores are propagated on the grid of the
    embedding, see :class:`_Cells`.

    Args:
        rounds: number of propagations; 0 returns the scores.
        beta: Hadamard power of the affinity, above 0.
        threshold: smaller affinities become 0, except that of a cell with itself.
        radius: affinities of cells farther apart than this become 0; None = no limit.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self,
        *,
        rounds: int = 1,
        beta: float = 1.0,
        threshold: float = 0.0,
        radius: float | None = None,
    ) -> None:
        if rounds < 0 or not beta > 0:
            raise ValueError(f'expected rounds >= 0 and beta > 0, got {rounds} and {beta}')
        self.rounds = rounds
        self.beta = beta
        self.threshold = threshold
        self.radius = radius

    @property
    def reach(self) -> int | None:
        """The whole image: None; the size of a cell is known with an embedding only."""
        return None

    @property
    def needs_embedding(self) -> bool:
        """Whether calls must have an embedding."""
        return True

    def __call__(
        self,
        scores: Tensor,
        *,
        image: Tensor,
        embedding: Tensor | None = None,
        valid: Tensor | None = None,
        fixed: Tensor | None = None,
        memo: MutableMapping[str, Any] | None = None,
    ) -> Tensor:
        """Propagate the scores of an image, see :class:`Affinity`; image and memo are not used."""
        embedding = _require_embedding(self, embedding)
        _require_one_size(scores, image)
        if self.rounds == 0 or scores.numel() == 0:
            return scores.clone()
        cells = _Cells(scores, (embedding.shape[-2], embedding.shape[-1]), valid, fixed)
        values = cells.start
        for _ in range(self.rounds):
            values = propagate(
                embedding[None],
                values[None],
                beta=self.beta,
                threshold=self.threshold,
                radius=self.radius,
                valid=cells.valid[None],
            )[0]
            values = cells.start.where(cells.fixed, values.to(cells.start))
        return cells.add_change(values)


@TASK_UTILS.register_module()
class RandomWalkerAffinity:
    """Propagate scores by a random walker on the image's colours, with the scores as priors.

    See :func:`mmp2seg.ops.random_walker.random_walker`. The channels are divided by their standard
    deviation. The scores are propagated on a grid of square cells, see :class:`_Cells`.

    Args:
        strength: how strongly a cell keeps its own scores, above 0; lower values reach farther.
        fixed_strength: the same for cells with fixed pixels.
        stride: side of a cell in pixels.

    Raises:
        ValueError: an option is out of its range.
    """

    def __init__(
        self, *, strength: float = 0.02, fixed_strength: float = 100.0, stride: int = 1
    ) -> None:
        if not strength > 0 or not fixed_strength > 0 or stride < 1:
            raise ValueError(
                'expected strength and fixed_strength > 0 and stride >= 1, got '
                f'{strength}, {fixed_strength} and {stride}'
            )
        self.strength = strength
        self.fixed_strength = fixed_strength
        self.stride = stride

    @property
    def reach(self) -> int | None:
        """The whole image: None."""
        return None

    @property
    def needs_embedding(self) -> bool:
        """Whether calls must have an embedding."""
        return False

    def __call__(
        self,
        scores: Tensor,
        *,
        image: Tensor,
        embedding: Tensor | None = None,
        valid: Tensor | None = None,
        fixed: Tensor | None = None,
        memo: MutableMapping[str, Any] | None = None,
    ) -> Tensor:
        """Propagate the scores of an image, see :class:`Affinity`; it uses no embedding or memo."""
        _require_one_size(scores, image)
        if scores.numel() == 0:
            return scores.clone()
        height, width = scores.shape[-2:]
        grid = (max(1, round(height / self.stride)), max(1, round(width / self.stride)))
        cells = _Cells(scores, grid, valid, fixed)
        with torch.no_grad(), torch.autocast(scores.device.type, enabled=False):
            colors = cells.pool(image.to(cells.start), valid)
            weights = edge_weights(_unit_deviation(colors, cells.valid), valid=cells.valid)
            strength = torch.full_like(colors[0], self.strength)
            strength = strength.masked_fill(cells.fixed, self.fixed_strength)
            return cells.add_change(random_walker(cells.start, weights, strength))


class _Cells:
    """Scores on a coarser grid, and the change that a step there makes to the scores of pixels.

    A cell has the mean of its valid pixels' scores, and that of its fixed pixels if there are any.
    The change of a cell is resized bilinearly and added. Then negative scores are set to 0, and the
    others of the pixel are divided by a number that restores their sum.

    Attributes:
        start: ``(N, h, w)`` float32 or float64 scores of the cells before the step.
        valid: ``(h, w)`` bool, cells with a valid pixel.
        fixed: ``(h, w)`` bool, cells with a valid fixed pixel.
    """

    def __init__(
        self, scores: Tensor, grid: tuple[int, int], valid: Tensor | None, fixed: Tensor | None
    ) -> None:
        size = scores.shape[-2:]
        for name, mask in (('valid', valid), ('fixed', fixed)):
            if mask is not None and (mask.shape != size or mask.dtype != torch.bool):
                raise ValueError(
                    f'expected {name} as bool of shape {tuple(size)}, got {mask.dtype} of '
                    f'{tuple(mask.shape)}'
                )
        self._scores = scores
        self._grid = grid
        self._valid = torch.ones_like(scores[0], dtype=torch.bool) if valid is None else valid
        held = torch.zeros_like(self._valid) if fixed is None else fixed & self._valid
        self._kept = held | ~self._valid
        values = scores.to(torch.promote_types(scores.dtype, torch.float32))
        self.valid = self._share(self._valid) > 0
        self.fixed = self._share(held) > 0
        self._before = self.pool(values, self._valid)
        self.start = self._before
        if fixed is not None:
            self.start = self.pool(values, held).where(self.fixed, self._before)

    def pool(self, maps: Tensor, mask: Tensor | None) -> Tensor:
        """Return the means of ``(C, H, W)`` over the pixels of a mask; 0 without such a pixel."""
        if mask is None:
            return self._area(maps)
        share = self._share(mask).to(maps)
        return self._area(maps.where(mask, 0)) / share.where(share > 0, 1)

    def add_change(self, after: Tensor) -> Tensor:
        """Return the ``(N, H, W)`` scores for the ``(N, h, w)`` scores of cells after the step."""
        change = (after - self._before).where(self.valid, 0)
        values = self._scores.to(change)
        result = add_coarse_change(values[None], torch.zeros_like(change)[None], change[None])[0]
        result = result.clamp(min=0)
        total = result.sum(0)
        result = result * (values.sum(0) / total.where(total > 0, 1))
        return self._scores.where(self._kept, result.to(self._scores))

    def _area(self, maps: Tensor) -> Tensor:
        if maps.shape[-2:] == self._grid:
            return maps
        return F.interpolate(maps[None], size=self._grid, mode='area')[0]

    def _share(self, mask: Tensor) -> Tensor:
        return self._area(mask[None].to(torch.promote_types(self._scores.dtype, torch.float32)))[0]


def _unit_deviation(colors: Tensor, valid: Tensor) -> Tensor:
    """Divide ``(C, h, w)`` channels by their standard deviation over the valid cells."""
    count = valid.sum().clamp(min=1)
    mean = colors.where(valid, 0).sum((1, 2), keepdim=True) / count
    centered = (colors - mean).where(valid, 0)
    deviation = (centered.square().sum((1, 2), keepdim=True) / count).sqrt()
    return centered / deviation.where(deviation > 0, 1)


def _require_one_size(scores: Tensor, image: Tensor) -> None:
    if scores.dim() != 3 or image.dim() != 3 or scores.shape[1:] != image.shape[1:]:
        raise ValueError(
            'expected scores (N, H, W) and an image (C, H, W) of one size, got '
            f'{tuple(scores.shape)} and {tuple(image.shape)}'
        )


def propagate_batch(
    affinity: Affinity,
    scores: Tensor,
    *,
    image: Tensor,
    embedding: Tensor | None = None,
    valid: Tensor | None = None,
    fixed: Tensor | None = None,
) -> Tensor:
    """Propagate the scores of a batch, at once if the affinity ``takes_batches``.

    Args: as those of :class:`Affinity`, all with a leading dimension of the images.

    Returns:
        Tensor: ``(B, N, H, W)``.
    """
    if vars(type(affinity)).get('takes_batches', False):
        return affinity(scores, image=image, embedding=embedding, valid=valid, fixed=fixed)
    return torch.stack(
        [
            affinity(
                one,
                image=image[index],
                embedding=None if embedding is None else embedding[index],
                valid=None if valid is None else valid[index],
                fixed=None if fixed is None else fixed[index],
            )
            for index, one in enumerate(scores)
        ]
    )


def _require_embedding(
    affinity: Affinity, embedding: Tensor | None, *, num_dims: int = 3
) -> Tensor:
    if embedding is None or embedding.dim() != num_dims:
        got = 'None' if embedding is None else f'the shape {tuple(embedding.shape)}'
        raise ValueError(
            f'expected an embedding (D, h, w) for {type(affinity).__name__}, got {got}'
        )
    return embedding
