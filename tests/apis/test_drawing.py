import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmp2seg.apis.drawing import build_dataset, build_model, spread_indices
from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config, write_tiny_voc


@pytest.mark.parametrize('with_weak_map', [True, False])
def test_dataset_with_and_without_weak_map(tmp_path, with_weak_map):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmp2seg.LoadPointAnnotations', with_seg=not with_weak_map),
        dict(type='mmp2seg.PackPointInputs'),
    ]
    data = dict(type='mmp2seg.PointVOCDataset', **write_tiny_voc(tmp_path))
    cfg = Config(
        dict(
            train_dataloader=dict(dataset=dict(data, pipeline=[dict(type='NoSuchTransform')])),
            test_dataloader=dict(dataset=dict(data, pipeline=pipeline, indices=1)),
        )
    )
    init_default_scope('mmdet')
    dataset = build_dataset(cfg, 'train', with_weak_map=with_weak_map)
    assert len(dataset) == 3
    assert ('gt_sem_seg' in dataset[0]['data_samples']) == with_weak_map


def test_model_has_its_weights_and_returns_maps(tmp_path):
    torch.manual_seed(0)
    trained = MODELS.build(tiny_p2seg_config())
    path = str(tmp_path / 'model.pth')
    torch.save({'state_dict': trained.state_dict()}, path)
    model = build_model(Config(dict(model=tiny_p2seg_config())), path, 'cpu', strict=True)
    assert model.test_cfg['return_maps'] and not model.training
    assert torch.equal(model.affinity_head.conv.weight, trained.affinity_head.conv.weight)


def test_strict_refuses_a_checkpoint_that_lacks_weights(tmp_path):
    path = str(tmp_path / 'model.pth')
    other = MODELS.build(tiny_p2seg_config(affinity_head=None))
    torch.save({'state_dict': other.state_dict()}, path)
    build_model(Config(dict(model=tiny_p2seg_config())), path, 'cpu')
    with pytest.raises(RuntimeError, match=r'affinity_head\.conv\.weight'):
        build_model(Config(dict(model=tiny_p2seg_config())), path, 'cpu', strict=True)


def test_spread_indices():
    assert spread_indices(5, 3) == [0, 2, 4]
    assert spread_indices(2, 8) == [0, 1]
    assert spread_indices(5, 1) == [0]
    assert spread_indices(0, 4) == []
