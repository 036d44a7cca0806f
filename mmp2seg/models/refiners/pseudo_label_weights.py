"""Instance weights and ignored pixels for losses on pseudo labels.

:class:`PseudoLabelWeights` stores both in ``gt_instances``; the heads of the refiners read them.
"""

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from mmp2seg.datasets.point_supervision import SUPERVISION_KINDS
from mmp2seg.ops.components import IGNORE

SEMANTIC_RULES = ('void', 'disagreement')


class PseudoLabelWeights:
    """Options of a refiner, applied to a batch of pseudo labels.

    Args:
        score_weight: exponent ``s`` of an instance's score in its weight ``score ** s``. 0: all
            instances have the same weight.
        supervision_weights: a factor of the weight by what an instance's mask is made of:
            ``'point'``, ``'box'``, ``'mask'`` (:mod:`mmp2seg.datasets.point_supervision`). A kind
            that is not named has the factor 1. None: all have.
        ignore_border: the mask loss ignores pixels that are within this distance (Chebyshev, in
            pixels of the network's input) of two masks of one class. 0: it ignores none.
        ignore_semantic: which pixels the mask loss ignores because of the semantic map.
            ``'void'``: pixels with the value 255. ``'disagreement'``: also pixels where the map and
            the pseudo masks have different classes, including background. None: none.

    Raises:
        ValueError: an option is outside its range.
    """

    def __init__(
        self,
        *,
        score_weight: float = 0.0,
        supervision_weights: Mapping[str, float] | None = None,
        ignore_border: int = 0,
        ignore_semantic: str | None = None,
    ) -> None:
        for kind, factor in (supervision_weights or {}).items():
            if kind not in SUPERVISION_KINDS or not (math.isfinite(factor) and factor >= 0):
                raise ValueError(
                    f'expected supervision_weights of {SUPERVISION_KINDS}, each at least 0, '
                    f'got {kind!r}: {factor}'
                )
        if score_weight < 0:
            raise ValueError(f'expected a score_weight of at least 0, got {score_weight}')
        if ignore_border < 0 or ignore_border != int(ignore_border):
            raise ValueError(f'expected a whole ignore_border of 0 or more, got {ignore_border}')
        if ignore_semantic not in (None, *SEMANTIC_RULES):
            raise ValueError(
                f'expected ignore_semantic to be None or one of {SEMANTIC_RULES}, '
                f'got {ignore_semantic!r}'
            )
        self.score_weight = float(score_weight)
        # by the place of the kind; None if all are equal, as weights have the mean 1
        factors = [(supervision_weights or {}).get(kind, 1.0) for kind in SUPERVISION_KINDS]
        self.factors = torch.tensor(factors) if len(set(factors)) > 1 else None
        self.ignore_border = int(ignore_border)
        self.ignore_semantic = ignore_semantic

    @property
    def is_on(self) -> bool:
        """Whether any option is on."""
        return bool(
            self.score_weight
            or self.factors is not None
            or self.ignore_border
            or self.ignore_semantic
        )

    def attach(self, data_samples: Sequence[DetDataSample]) -> None:
        """Add weights and ignored pixels to each ``gt_instances`` of a batch, in place.

        - ``loss_weights``: ``(N,)`` float32 with the mean 1 over the batch
        - metainfo ``ignored_pixels``: ``(H, W)`` bool in the frame of the masks

        Args:
            data_samples: samples with ``masks`` and ``labels`` in ``gt_instances``.
                ``score_weight`` also needs ``scores`` there, ``supervision_weights`` needs
                ``supervision``, and ``ignore_semantic`` needs ``gt_sem_seg``.

        Raises:
            ValueError: scores, kinds or the semantic map are missing, a score is below 0, or the
                map does not have the size of its image.
        """
        weights = self._instance_weights(data_samples)
        for sample, weight in zip(data_samples, weights, strict=True):
            sample.gt_instances.loss_weights = weight
            sample.gt_instances.set_metainfo(dict(ignored_pixels=self._ignored_pixels(sample)))

    def _instance_weights(self, data_samples: Sequence[DetDataSample]) -> list[Tensor]:
        instances = [sample.gt_instances for sample in data_samples]
        if not self.score_weight and self.factors is None:
            return [torch.ones_like(one.labels, dtype=torch.float32) for one in instances]
        needed = {
            'score_weight': ('scores', bool(self.score_weight)),
            'supervision_weights': ('supervision', self.factors is not None),
        }
        for sample in data_samples:
            for option, (field, is_on) in needed.items():
                if is_on and field not in sample.gt_instances:
                    raise ValueError(
                        f'{sample.get("img_path", "a sample")}: {option} expected {field} of the '
                        'pseudo labels; use mmp2seg.PseudoLabelCocoDataset, '
                        'mmp2seg.LoadPseudoLabels and mmp2seg.PackPseudoLabels'
                    )
        factors = None
        if self.factors is not None:
            factors = [self.factors.to(one.labels.device)[one.supervision] for one in instances]
        scores = [
            one.scores if self.score_weight else torch.ones_like(one.labels, dtype=torch.float32)
            for one in instances
        ]
        return weights_of_scores(scores, power=self.score_weight, factors=factors)

    def _ignored_pixels(self, sample: DetDataSample) -> np.ndarray:
        instances: InstanceData = sample.gt_instances
        masks, labels = instances.masks.to_ndarray(), instances.labels.cpu().numpy()
        shape = (instances.masks.height, instances.masks.width)
        ignored = np.zeros(shape, dtype=bool)
        if self.ignore_border:
            ignored |= conflict_zone(masks, labels, shape=shape, reach=self.ignore_border)
        if self.ignore_semantic:
            if 'gt_sem_seg' not in sample:
                raise ValueError(
                    f'{sample.get("img_path", "a sample")}: ignore_semantic expected a semantic '
                    "map; give the dataset's data_prefix a folder 'seg' and LoadPseudoLabels "
                    'with_seg=True'
                )
            semantic_map = sample.gt_sem_seg.sem_seg[0].cpu().numpy()
            height, width = semantic_map.shape
            # The map may have the padding of the batch or not. Without it, padding is not ignored.
            padded = tuple(sample.get('batch_input_shape', shape))
            if (height, width) not in (tuple(sample.img_shape[:2]), padded):
                raise ValueError(
                    f'{sample.get("img_path", "a sample")}: expected a semantic map of the size '
                    f'{tuple(sample.img_shape[:2])} of its image, got {(height, width)}; a '
                    'transform of the pipeline does not change the map with the image'
                )
            ignored[:height, :width] |= uncertain_pixels(
                semantic_map[: shape[0], : shape[1]],
                masks[:, :height, :width],
                labels,
                rule=self.ignore_semantic,
            )
        return ignored


def weights_of_scores(
    scores: Sequence[Tensor], *, power: float, factors: Sequence[Tensor] | None = None
) -> list[Tensor]:
    """Compute ``factor * score ** power`` of the instances of a batch, scaled to the mean 1.

    Because of the scaling, equal scores change nothing, and the loss keeps its magnitude relative
    to other losses.

    Args:
        scores: ``(N_i,)`` floats for each image, at least 0.
        power: exponent, at least 0.
        factors: ``(N_i,)`` floats for each image, at least 0; None: 1.

    Returns:
        list[Tensor]: ``(N_i,)`` float32 each; all 0 if all scores or factors are 0.

    Raises:
        ValueError: a score is below 0 or not finite.
    """
    flat = torch.cat([score.float() for score in scores])
    if not bool((torch.isfinite(flat) & (flat >= 0)).all()):
        raise ValueError(f'expected scores of at least 0, got {flat.tolist()}')
    weights = flat**power
    if factors is not None:
        weights = weights * torch.cat(list(factors))
    if len(weights):
        weights = weights / weights.mean().clamp(min=torch.finfo(weights.dtype).tiny)
    return list(weights.split([len(score) for score in scores]))


def conflict_zone(
    masks: np.ndarray, labels: np.ndarray, *, shape: tuple[int, int], reach: int
) -> np.ndarray:
    """Find the pixels close to two instances of one class.

    Args:
        masks: ``(N, H, W)`` bool or uint8.
        labels: ``(N,)`` integers.
        shape: ``(H, W)``.
        reach: largest Chebyshev distance in pixels, at least 1.

    Returns:
        np.ndarray: ``(H, W)`` bool, the pixels at most ``reach`` from two masks of one label. They
        are on both sides of the masks' border and, beyond its ends or in a gap, on background.
    """
    zone = np.zeros(shape, dtype=bool)
    square = np.ones((2 * reach + 1, 2 * reach + 1), dtype=np.uint8)
    for label in np.unique(labels):
        same_class = np.flatnonzero(labels == label)
        if len(same_class) < 2:
            continue
        near = np.zeros(shape, dtype=np.uint16)
        for index in same_class:
            mask = np.ascontiguousarray(masks[index], dtype=np.uint8)
            x, y, width, height = cv2.boundingRect(mask)
            rows = slice(max(y - reach, 0), y + height + reach)
            columns = slice(max(x - reach, 0), x + width + reach)
            near[rows, columns] += cv2.dilate(mask[rows, columns], square) if width else 0
        zone |= near > 1
    return zone


def uncertain_pixels(
    semantic_map: np.ndarray, masks: np.ndarray, labels: np.ndarray, *, rule: str
) -> np.ndarray:
    """Find pixels that are void in the semantic map or that have another class in the masks.

    Args:
        semantic_map: ``(H, W)`` integers, 0 background, k + 1 class k, 255 ignore.
        masks: ``(N, H, W)`` bool or uint8.
        labels: ``(N,)`` integers.
        rule: one of ``SEMANTIC_RULES``, see :class:`PseudoLabelWeights`.

    Returns:
        np.ndarray: ``(H, W)`` bool.
    """
    if rule == 'void':
        return semantic_map == IGNORE
    agrees = (semantic_map == 0) & ~masks.any(axis=0)
    for mask, label in zip(masks, labels, strict=True):
        agrees |= mask.astype(bool) & (semantic_map == label + 1)
    return ~agrees
