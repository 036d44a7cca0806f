"""Every config that segments images from points alone builds and segments; without its weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch.nn.modules.batchnorm import _BatchNorm

from mmp2seg.analysis.point_segmentation.methods import build_method
from mmp2seg.apis.label_refinement import build_label_refiner
from mmp2seg.apis.point_masks import build_point_segmenter
from mmp2seg.pseudo_labels.refinement import CandidateRefiner
from mmp2seg.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
COMPARISON = CONFIGS / 'point_segmenter' / 'comparison.py'
SAM = CONFIGS / 'point_segmenter' / 'sam.py'
PATHS = sorted(set((CONFIGS / 'point_segmenter').glob('*.py')) - {COMPARISON, SAM})


def test_there_is_the_default():
    assert 'efficientnet-lite0' in [path.stem for path in PATHS]


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_build_and_segment(path):
    cfg = Config.fromfile(path)
    assert cfg.model.backbone.init_cfg.type == 'Pretrained'
    cfg.model.backbone.init_cfg = None
    cfg.model.long_side = 64
    result = build_point_segmenter(cfg)(
        np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8),
        points_xy=[[10.5, 20.5], [30.5, 20.5]],
        labels=[1, 0],
        num_classes=2,
    )
    assert result.instance_map[20, 10] == 1 and result.instance_map[20, 30] == 2


def test_sam_builds_without_weights_and_has_a_refiner():
    cfg = Config.fromfile(SAM)
    assert MODELS.build(cfg.model).weights == 'facebook/sam-vit-huge'
    refiner, default = build_label_refiner(cfg), CandidateRefiner()
    assert vars(refiner) == vars(default)


def test_the_config_for_own_data_names_the_same_segmenter():
    own = Config.fromfile(CONFIGS / 'p2seg' / 'tiny_own_data.py')
    default = Config.fromfile(CONFIGS / 'point_segmenter' / 'efficientnet-lite0.py')
    assert own.point_segmenter == default.model


def test_every_method_of_the_comparison_builds():
    methods = Config.fromfile(COMPARISON).methods
    for config in methods.values():
        if 'backbone' in config:
            config.backbone.init_cfg = None
        assert callable(build_method(config))
    # without weights, 'random_weights' is the segmenter itself; every other row switches something
    rows = [
        str(sorted(config.items(), key=str))
        for config in methods.values()
        if config['type'] == 'mmp2seg.PointSegmenter'
    ]
    assert len(set(rows)) == len(rows) - 1


def test_the_network_on_efficientnet_trains_and_predicts():
    cfg = Config.fromfile(CONFIGS / 'p2seg' / 'efficientnet-lite0_own_data.py')
    assert cfg.model.backbone.init_cfg.checkpoint.startswith('package://')
    cfg.model.backbone.init_cfg = None
    model = MODELS.build(cfg.model).train()
    images = torch.randn(2, 3, 64, 96)
    logits, offset, _ = model._forward(images)
    assert logits.shape == (2, 3, 16, 24) and offset.shape[:2] == (2, 2)
    (logits.square().mean() + offset.square().mean()).backward()
    assert model.backbone._conv_stem.weight.grad.abs().sum() > 0
    # batch norm keeps the statistics of ImageNet
    assert not any(m.training for m in model.backbone.modules() if isinstance(m, _BatchNorm))
