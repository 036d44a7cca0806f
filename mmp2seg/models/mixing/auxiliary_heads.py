"""OffsetHead and AffinityHead with the interface of mmseg's auxiliary heads.

An ``mmseg.EncoderDecoder`` calls ``loss(inputs, batch_data_samples, train_cfg)`` of each head of
``auxiliary_head``. The samples come from ``mmp2seg.GeneratePointTargets`` and
``mmp2seg.PackSegPointInputs``; mmseg's own data pre-processor batches them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmp2seg.models.heads import AffinityHead, OffsetHead
from mmp2seg.ops.affinity import BACKGROUND, IGNORED
from mmp2seg.registry import MODELS


@MODELS.register_module()
class OffsetAuxHead(OffsetHead):
    """An :class:`mmp2seg.models.OffsetHead` that trains along with an mmseg segmentor.

    Args:
        loss_decode: config of the loss, called with ``(offset, target, weight)``.
        others: as of :class:`mmp2seg.models.OffsetHead`.
    """

    def __init__(self, *, loss_decode: dict | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.loss_decode = MODELS.build(loss_decode or dict(type='mmp2seg.OffsetLoss'))

    def loss(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: Sequence[BaseDataElement],
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """``loss_offset`` of a batch.

        Args:
            inputs: feature maps of the backbone or the neck.
            batch_data_samples: with ``gt_sem_seg.data`` (1, H, W) at the size of the network's
                input, and ``gt_point_targets``, which is padded to it.
            train_cfg: of the segmentor; nothing is read from it.

        Returns:
            dict: ``loss_offset``, a scalar.

        Raises:
            ValueError: for a sample without ``gt_point_targets``.
        """
        target = _stacked_targets(batch_data_samples, 'offset')
        weight = _stacked_targets(batch_data_samples, 'offset_weight')[:, 0]
        offset = self.predict_by_feat(self(inputs), tuple(target.shape[-2:]))
        return dict(loss_offset=self.loss_decode(offset, target, weight))


@MODELS.register_module()
class AffinityAuxHead(AffinityHead):
    """An :class:`mmp2seg.models.AffinityHead` that trains along with an mmseg segmentor.

    Args:
        loss_decode: config of the loss, called with ``(embedding, instance_maps)``.
        others: as of :class:`mmp2seg.models.AffinityHead`.
    """

    def __init__(self, *, loss_decode: dict | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.loss_decode = MODELS.build(loss_decode or dict(type='mmp2seg.AffinityLoss'))

    def loss(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: Sequence[BaseDataElement],
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """``loss_affinity`` of a batch; arguments and errors as of :class:`OffsetAuxHead`.

        What is neither background of the semantic map nor an instance is in no pair.
        """
        instance_maps = _stacked_targets(batch_data_samples, 'instance_map')
        semantic_maps = torch.stack([sample.gt_sem_seg.data for sample in batch_data_samples])
        unknown = (instance_maps == BACKGROUND) & (semantic_maps != 0)
        instance_maps = instance_maps.masked_fill(unknown, IGNORED)
        return dict(loss_affinity=self.loss_decode(self(inputs), instance_maps))


def _stacked_targets(samples: Sequence[BaseDataElement], name: str) -> Tensor:
    """``(B, C, H, W)`` of a field of ``gt_point_targets``, padded by 0 to the semantic map's size.

    mmseg's data pre-processor pads, at the bottom and the right, the fields that it knows.
    """
    maps = []
    for sample in samples:
        if 'gt_point_targets' not in sample:
            raise ValueError(
                'expected data samples with gt_point_targets: the train pipeline ends with '
                'mmp2seg.GeneratePointTargets and mmp2seg.PackSegPointInputs'
            )
        value = sample.gt_point_targets.get(name)
        height, width = sample.gt_sem_seg.shape
        maps.append(F.pad(value, (0, width - value.shape[-1], 0, height - value.shape[-2])))
    return torch.stack(maps)
