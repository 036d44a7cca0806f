"""OffsetHead and AffinityHead with the interface of mmseg's auxiliary heads.

An ``mmseg.EncoderDecoder`` calls ``loss(inputs, batch_data_samples, train_cfg)`` of each head of
``auxiliary_head``. The samples come from ``mmp2seg.FindRegions`` and
``mmp2seg.PackSegPointInputs``; mmseg's own data pre-processor batches them.
"""

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmp2seg.codecs import PointPseudoLabeler, PointTargets
from mmp2seg.codecs.data_samples import image_points
from mmp2seg.models.heads import AffinityHead, OffsetHead
from mmp2seg.ops.affinity import mask_unknown
from mmp2seg.registry import MODELS, TASK_UTILS


@MODELS.register_module()
class OffsetAuxHead(OffsetHead):
    """An :class:`mmp2seg.models.OffsetHead` that trains together with an mmseg segmentor.

    Args:
        labeler: config of the :class:`mmp2seg.codecs.PointPseudoLabeler` that makes the targets.
            None: the labeler's default arguments.
        loss_decode: config of the loss, called with ``(offset, target, weight)``.
        **kwargs: forwarded to :class:`mmp2seg.models.OffsetHead`.
    """

    def __init__(
        self, *, labeler: dict | None = None, loss_decode: dict | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.labeler = _build_labeler(labeler)
        self.loss_decode = MODELS.build(loss_decode or dict(type='mmp2seg.OffsetLoss'))

    def loss(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: Sequence[BaseDataElement],
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Compute the ``loss_offset`` of a batch.

        Args:
            inputs: feature maps of the backbone or the neck.
            batch_data_samples: with ``gt_sem_seg.data`` (1, H, W) at the size of the network's
                input, ``gt_instances``, ``gt_region_map`` and ``gt_regions``.
            train_cfg: config of the segmentor; ignored.

        Returns:
            dict: ``loss_offset``, a scalar.

        Raises:
            ValueError: a sample has no ``gt_region_map``.
        """
        targets = _initial_targets(self.labeler, batch_data_samples)
        target = torch.stack([of_image.offset for of_image in targets])
        weight = torch.stack([of_image.weight for of_image in targets])
        offset = self.predict_by_feat(self(inputs), tuple(target.shape[-2:]))
        return dict(loss_offset=self.loss_decode(offset, target, weight))


@MODELS.register_module()
class AffinityAuxHead(AffinityHead):
    """An :class:`mmp2seg.models.AffinityHead` that trains together with an mmseg segmentor.

    Args:
        labeler: see :class:`OffsetAuxHead`.
        loss_decode: config of the loss, called with ``(embedding, instance_maps)``.
        **kwargs: forwarded to :class:`mmp2seg.models.AffinityHead`.
    """

    def __init__(
        self, *, labeler: dict | None = None, loss_decode: dict | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.labeler = _build_labeler(labeler)
        self.loss_decode = MODELS.build(loss_decode or dict(type='mmp2seg.AffinityLoss'))

    def loss(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: Sequence[BaseDataElement],
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Compute the ``loss_affinity`` of a batch.

        Pixels that are neither background in the semantic map nor in an instance are in no pair.
        For arguments and errors, see :meth:`OffsetAuxHead.loss`.
        """
        targets = _initial_targets(self.labeler, batch_data_samples)
        instance_maps = torch.stack([of_image.instance_map for of_image in targets])
        semantic_maps = torch.cat([sample.gt_sem_seg.data for sample in batch_data_samples])
        instance_maps = mask_unknown(instance_maps, semantic_maps)[:, None]
        return dict(loss_affinity=self.loss_decode(self(inputs), instance_maps))


def _build_labeler(labeler: dict | None) -> PointPseudoLabeler:
    return TASK_UTILS.build({'type': 'mmp2seg.PointPseudoLabeler', **(labeler or {})})


@torch.no_grad()
def _initial_targets(
    labeler: PointPseudoLabeler, samples: Sequence[BaseDataElement]
) -> list[PointTargets]:
    """Compute the initial targets of each image, at the size of its padded semantic map."""
    targets = []
    for sample in samples:
        image = image_points(sample)
        # mmseg's data pre-processor pads, at the bottom and right, only the fields that it knows
        height, width = sample.gt_sem_seg.shape
        region_map = image.regions.region_map
        amount = (0, width - region_map.shape[-1], 0, height - region_map.shape[-2])
        regions = image.regions._replace(region_map=F.pad(region_map, amount))
        targets.append(labeler.image_targets(dataclasses.replace(image, regions=regions)))
    return targets
