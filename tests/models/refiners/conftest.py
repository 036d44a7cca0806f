import copy
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData

from mmp2seg.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[3] / 'configs' / 'refine'
parse = functools.cache(Config.fromfile)


def _make_sample(masks, labels, *, scores=None, semantic_map=None):
    """Make a training sample from ``(N, H, W)`` masks; scores and map are optional."""
    masks = np.asarray(masks, dtype=np.uint8)
    height, width = masks.shape[1:]
    bitmaps = BitmapMasks(masks, height, width)
    sample = DetDataSample(
        metainfo=dict(img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0))
    )
    sample.gt_instances = InstanceData(
        bboxes=bitmaps.get_bboxes(HorizontalBoxes), labels=torch.tensor(labels), masks=bitmaps
    )
    sample.ignored_instances = InstanceData(
        bboxes=HorizontalBoxes(torch.zeros(0, 4)), labels=torch.zeros(0, dtype=torch.int64)
    )
    if scores is not None:
        sample.gt_instances.scores = torch.tensor(scores, dtype=torch.float32)
    if semantic_map is not None:
        sample.gt_sem_seg = PixelData(sem_seg=torch.as_tensor(semantic_map)[None])
    return sample


@pytest.fixture
def make_sample():
    return _make_sample


@pytest.fixture
def config_of():
    """Return the model of a config in configs/refine."""
    return lambda name: copy.deepcopy(parse(CONFIGS / f'{name}.py').model)


@pytest.fixture
def make_batch():
    """Make the same batch each time: two touching squares and a rectangle; one square."""

    def make(*, scores=((0.9, 0.3, 0.6), (0.2,)), shift_border=0):
        rng = torch.Generator().manual_seed(0)
        masks = np.zeros((4, 64, 64), dtype=np.uint8)
        masks[0, 8:32, 4 : 24 + shift_border] = 1
        masks[1, 8:32, 24 + shift_border : 50] = 1
        masks[2, 40:60, 10:40] = 1
        masks[3, 10:50, 20:52] = 1
        maps = np.zeros((2, 64, 64), dtype=np.uint8)
        maps[0, 8:32, 4:50] = 2
        maps[0, 40:60, 10:40] = 1
        maps[1, 10:40, 20:52] = 3
        maps[1, 40:50, 20:52] = 255
        samples = [
            _make_sample(masks[:3], [1, 1, 0], scores=scores[0], semantic_map=maps[0]),
            _make_sample(masks[3:], [2], scores=scores[1], semantic_map=maps[1]),
        ]
        images = [(255 * torch.rand(3, 64, 64, generator=rng)).byte() for _ in samples]
        return dict(inputs=images, data_samples=samples)

    return make


@pytest.fixture
def build(config_of):
    """Build the small model of a config from a fixed seed, with changes."""

    def make(name, **changes):
        model = config_of(name)
        model.update(changes)
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(model)
        model.init_weights()
        return model.train()

    return make


@pytest.fixture
def losses_of():
    """Return the losses and gradients of a model on a batch, from a fixed seed."""

    def run(model, batch):
        model.zero_grad()
        data = model.data_preprocessor(batch, True)
        torch.manual_seed(1)
        losses = model(**data, mode='loss')
        total, log = model.parse_losses(losses)
        total.backward()
        grads = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        return log, grads

    return run
