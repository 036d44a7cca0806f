"""Parts of P2Seg in a model that a user writes with nothing else of it."""

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS as ROOT
from mmengine.registry import DefaultScope
from torch import nn

from mmp2seg.codecs import PointPseudoLabeler
from mmp2seg.codecs.data_samples import image_points
from mmp2seg.datasets import PointVOCDataset
from mmp2seg.testing import write_tiny_voc

PIPELINE = [
    dict(type='mmcv.LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(type='mmp2seg.FindRegions'),
    dict(type='mmp2seg.PackPointInputs'),
]


class UsersModel(BaseModel):
    """One convolution whose channels are scores, offsets and an embedding: the losses alone."""

    def __init__(self):
        super().__init__(data_preprocessor=dict(type='mmp2seg.PointDataPreprocessor'))
        self.labeler = PointPseudoLabeler()
        self.maps = nn.Conv2d(3, 3 + 2 + 4, 9, stride=4, padding=4)
        self.semantic_loss = ROOT.build(dict(type='mmp2seg.HardPixelCrossEntropyLoss', ratio=0.5))
        self.offset_loss = ROOT.build(dict(type='mmp2seg.OffsetLoss', loss_weight=0.1))
        self.affinity_loss = ROOT.build(dict(type='mmp2seg.AffinityLoss', background='instance'))

    def forward(self, inputs, data_samples, mode):
        maps = self.maps(inputs / 255)
        full = nn.functional.interpolate(maps[:, :5], inputs.shape[-2:], mode='bilinear')
        targets = [self.labeler.image_targets(image_points(sample)) for sample in data_samples]
        semantic_maps = torch.cat([sample.gt_sem_seg.sem_seg for sample in data_samples])
        offsets = torch.stack([target.offset for target in targets])
        weights = torch.stack([target.weight for target in targets])
        instance_maps = torch.stack([target.instance_map[None] for target in targets])
        return dict(
            loss_semantic=self.semantic_loss(full[:, :3], semantic_maps),
            loss_offset=self.offset_loss(full[:, 3:], offsets, weights),
            loss_affinity=self.affinity_loss(maps[:, 5:], instance_maps),
        )


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_losses_train_a_model_of_ones_own(tmp_path, scope):
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(scope):
        model = UsersModel()
        dataset = PointVOCDataset(**write_tiny_voc(tmp_path), pipeline=PIPELINE)
    wrapper = OptimWrapper(torch.optim.Adam(model.parameters(), 0.02), accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 16)
    batch = pseudo_collate([dataset[index] for index in range(3)])
    logs = [model.train_step(batch, wrapper) for _ in range(16)]
    for name in ('loss_semantic', 'loss_offset', 'loss_affinity'):
        assert logs[-1][name] < logs[0][name]
        assert logs[1][name] == logs[0][name]  # two batches a step


def test_mdm_loss_is_built_of_any_losses():
    loss = ROOT.build(
        dict(
            type='mmp2seg.MDMLoss',
            lambda_i2s=0.5,
            loss_semantic=dict(type='mmdet.CrossEntropyLoss', loss_weight=2.0),
        )
    )
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    offset = torch.zeros(1, 2, 4, 4)
    losses = loss(
        semantic_logits=logits,
        semantic_targets=[torch.ones(1, 4, 4, dtype=torch.int64)],
        offset=offset,
        offset_targets=[(offset + 1, torch.ones(1, 4, 4))],
    )
    expected = 2 * nn.functional.cross_entropy(logits, torch.ones(1, 4, 4, dtype=torch.int64))
    assert losses.keys() == {'loss_semantic', 'loss_offset'}
    assert torch.allclose(losses['loss_semantic'], expected)
