import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.drawing import (
    build_dataset,
    build_model,
    build_train_dataset,
    input_as_rgb,
    refined_targets,
    spread_indices,
)
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


TRAIN_PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(type='mmp2seg.FindRegions'),
    dict(type='mmp2seg.PackPointInputs'),
]


def train_config(folder, **model):
    data = write_tiny_voc(folder, size=(40, 44))  # not a multiple of 16: it is padded
    data = dict(type='mmp2seg.PointVOCDataset', pipeline=TRAIN_PIPELINE, **data)
    loader = dict(dataset=dict(type='RepeatDataset', times=2, dataset=data))
    return Config(dict(model=tiny_p2seg_config(**model), train_dataloader=loader))


def test_train_dataset_keeps_its_wrapper(tmp_path):
    init_default_scope('mmdet')
    dataset = build_train_dataset(train_config(tmp_path))
    assert len(dataset) == 6
    assert 'gt_region_map' in dataset[0]['data_samples']
    with pytest.raises(CommandError, match='has no train_dataloader'):
        build_train_dataset(Config(dict()))


def test_input_as_rgb():
    inputs = torch.tensor([1, 2, 300])[:, None, None].expand(3, 4, 5)
    bgr, rgb = (
        Config(dict(model=dict(offset_head={}, data_preprocessor=dict(rgb_to_bgr=flag))))
        for flag in (False, True)
    )
    assert input_as_rgb(bgr, inputs)[0, 0].tolist() == [255, 2, 1]
    assert input_as_rgb(rgb, inputs).shape == (4, 5, 3)
    assert input_as_rgb(rgb, inputs)[0, 0].tolist() == [1, 2, 255]


@pytest.mark.parametrize('semantic_use', ['none', 'offset', 'semantic'])
def test_refined_targets_are_those_of_the_distiller(tmp_path, semantic_use):
    init_default_scope('mmdet')
    distiller = dict(
        type='mmp2seg.MutualDistiller', semantic_use=semantic_use, instance_scorer=dict()
    )
    cfg = train_config(tmp_path, distiller=distiller)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    item = build_train_dataset(cfg)[0]
    refined = refined_targets(model, item)
    assert refined.instance_map.shape == refined.weight.shape == (40, 44)
    assert refined.offset.shape == (2, 40, 44)
    assert (refined.semantic_map is None) == (semantic_use == 'none')
    assert item['data_samples'].gt_sem_seg.shape == (40, 44)  # not padded
    assert model.distiller.semantic_use == semantic_use

    # the targets of a training step
    seen = []
    model.mdm_loss.forward = lambda **parts: seen.append(parts) or {}
    batch = model.data_preprocessor(pseudo_collate([item]), True)
    model.loss(batch['inputs'], batch['data_samples'])
    offset, weight = seen[0]['offset_targets'][1]
    assert torch.equal(offset[0, :, :40, :44], torch.from_numpy(refined.offset))
    assert torch.equal(weight[0, :40, :44], torch.from_numpy(refined.weight))
    instances = seen[0]['instance_maps'][0, 1, :40, :44]
    assert torch.equal(instances, torch.from_numpy(refined.instance_map))
    if semantic_use == 'semantic':
        expected = seen[0]['semantic_targets'][1][0, :40, :44]
        assert torch.equal(expected, torch.from_numpy(refined.semantic_map))


def test_nothing_is_refined_where_the_distiller_refines_nothing(tmp_path):
    init_default_scope('mmdet')
    distiller = dict(type='mmp2seg.MutualDistiller', refine_begin=None)
    cfg = train_config(tmp_path, distiller=distiller)
    model = MODELS.build(cfg.model).eval()
    assert refined_targets(model, build_train_dataset(cfg)[0]) is None
