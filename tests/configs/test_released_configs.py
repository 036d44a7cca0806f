"""Details of the configs of the released networks, beyond building and training."""

import functools
from pathlib import Path
from urllib.error import URLError

import mmengine.runner.checkpoint
import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmp2seg.registry import MODELS

STAGE1 = sorted((Path(__file__).resolve().parents[2] / 'configs' / 'p2seg').glob('*.py'))
parse = functools.cache(Config.fromfile)
RELEASED = [
    path
    for path in STAGE1
    if path.name.startswith(('hrnet48_', 'resnet101_'))
    and not path.stem.endswith(('_paper', '_own_data'))
]


def name_of(path):
    return path.stem


def build(path):
    """Build the network without memory for its weights."""
    cfg = parse(path)
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.device('meta'):
        return MODELS.build(cfg.model)


def test_all_three_are_there():
    assert [path.stem for path in RELEASED] == ['hrnet48_coco', 'hrnet48_voc', 'resnet101_voc']


@pytest.mark.parametrize('path', RELEASED, ids=name_of)
def test_without_network_there_is_a_message_and_no_random_start(path, monkeypatch):
    def offline(*args, **kwargs):
        raise URLError('no network')

    monkeypatch.setattr(mmengine.runner.checkpoint, 'load_url', offline)
    message = r'model\.backbone\.init_cfg: .* no network.* start from random weights'
    with pytest.raises(RuntimeError, match=message):
        build(path).init_weights()


@pytest.mark.parametrize('path', RELEASED, ids=name_of)
def test_weights_of_another_network_are_refused(path, monkeypatch):
    def other(*args, **kwargs):
        return {'features.0.weight': torch.zeros(1)}

    monkeypatch.setattr(mmengine.runner.checkpoint, 'load_url', other)
    with pytest.raises(RuntimeError, match=r'no entry of the right shape for (\d+) of \1 entries'):
        build(path).init_weights()


@pytest.mark.parametrize('path', RELEASED, ids=name_of)
def test_the_backbone_takes_the_entries_of_an_imagenet_classifier(path, monkeypatch):
    model = build(path).to_empty(device='cpu')
    state = {name: torch.ones_like(value) for name, value in model.backbone.state_dict().items()}
    state |= {'fc.weight': torch.zeros(1), 'stage4.2.fuse_layers.1.0.0.0.weight': torch.zeros(1)}
    monkeypatch.setattr(mmengine.runner.checkpoint, 'load_url', lambda *args, **kwargs: state)
    model.init_weights()
    assert all((value == 1).all() for value in model.backbone.parameters())
    kernels = [
        module.weight for module in model.semantic_head.modules() if hasattr(module, 'weight')
    ]
    assert all(kernel.abs().max() < 0.01 for kernel in kernels if kernel.dim() == 4)


@pytest.mark.parametrize('path', RELEASED, ids=name_of)
def test_norms_of_the_released_network(path):
    momentum = 0.01 if 'resnet101' in path.stem else 0.1
    norms = [module for module in build(path).modules() if hasattr(module, 'running_mean')]
    assert norms
    assert all((norm.momentum, norm.eps) == (momentum, 1e-5) for norm in norms)
    assert all(isinstance(norm, torch.nn.SyncBatchNorm) for norm in norms)


@pytest.mark.parametrize('path', RELEASED, ids=name_of)
def test_padding_has_the_mean_colour_of_the_one_normalisation(path):
    cfg = parse(path)
    (pad,) = (step for step in cfg.train_pipeline if step.type == 'Pad')
    mean_bgr = cfg.model.data_preprocessor.mean[::-1]
    assert pad.pad_val.img == tuple(np.round(mean_bgr).astype(int))
    assert not any('Normalize' in step.type for step in cfg.train_pipeline + cfg.test_pipeline)


def test_coco_is_the_80_things_for_200_000_iterations():
    voc, coco = (parse(path) for path in RELEASED[1::-1])
    dataset = coco.train_dataloader.dataset
    assert tuple(dataset.metainfo.classes) == CocoDataset.METAINFO['classes']
    assert (voc.train_cfg.max_iters, coco.train_cfg.max_iters) == (50000, 200000)
    warm_up, decay = coco.param_scheduler
    assert (warm_up.end, decay.end) == (2000, 200000)
    assert coco.optim_wrapper == voc.optim_wrapper
    assert [step.type for step in coco.train_pipeline] == [step.type for step in voc.train_pipeline]
    assert coco.test_evaluator.ann_file == dataset.data_root + dataset.ann_file
