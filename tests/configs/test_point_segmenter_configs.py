"""Every config that segments images from points alone builds and segments; without its weights."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmp2seg.apis.point_masks import build_point_segmenter

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
PATHS = sorted((CONFIGS / 'point_segmenter').glob('*.py'))


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


def test_the_config_for_own_data_names_the_same_segmenter():
    own = Config.fromfile(CONFIGS / 'p2seg' / 'tiny_own_data.py')
    default = Config.fromfile(CONFIGS / 'point_segmenter' / 'efficientnet-lite0.py')
    assert own.point_segmenter == default.model
