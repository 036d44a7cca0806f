"""Every config of configs/mixing runs from a file outside of the package, under two scopes."""

from pathlib import Path

import mmdet.visualization
import mmseg.visualization
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

# Registered by the package as soon as its __init__ files name them.
import mmp2seg.datasets.transforms.geometric
import mmp2seg.datasets.transforms.seg_packing
import mmp2seg.models.mixing
import mmp2seg.models.test_time_augs  # noqa: F401
from mmp2seg.apis.device import adapt_config_to_cpu
from mmp2seg.apis.runner import enable_tta
from mmp2seg.testing import write_tiny_voc
from mmp2seg.visualization.points_visualizer import PointsVisualizer

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'mixing'
MIXING = sorted(CONFIGS.glob('*.py'))
TTA = CONFIGS / 'p2seg_tta_voc.py'
SEGMENTORS = [path for path in MIXING if not path.stem.startswith('p2seg')]
SIZE = (32, 32)
SMALL = dict(
    scales=[SIZE],
    crop_size=SIZE,
    size=SIZE,
    img_scale=SIZE,
    max_cached_images=5,
    depths=[1, 1, 1, 1],
    num_modules=1,
)
SINGLETONS = [
    DefaultScope,
    MessageHub,
    MMLogger,
    Visualizer,
    mmdet.visualization.DetLocalVisualizer,
    mmseg.visualization.SegLocalVisualizer,
    PointsVisualizer,
]
# A user's config file; the small sizes are the test's own.
USER_CONFIG = """
_base_ = {base!r}
default_scope = {scope!r}
work_dir = {folder!r} + '/work'
experiment_name = {folder!r}
log_level = 'ERROR'
default_hooks = dict(checkpoint=None)
loader = dict(num_workers=0, persistent_workers=False)
train_dataloader = dict(
    **loader,
    batch_size=2,
    dataset=dict(
        data_root={folder!r},
        ann_file='ImageSets/train.txt',
        data_prefix=dict(img='JPEGImages', points='Center_points', seg_map='WSSS_maps'),
    ),
)
test_dataloader = dict(
    **loader,
    dataset=dict(
        data_root={folder!r},
        ann_file='ImageSets/train.txt',
        data_prefix=dict({test_prefix}),
    ),
)
test_evaluator = dict({evaluator})
train_cfg = dict(max_iters={max_iters})
"""
P2SEG = dict(
    test_prefix="img='JPEGImages', points='Center_points', seg_map='WSSS_maps'",
    evaluator="outfile=work_dir + '/labels.json'",
)
SEGMENTOR = dict(test_prefix="img_path='JPEGImages', seg_map_path='WSSS_maps'", evaluator='')


def name_of(path):
    return path.stem


def shrink(node):
    """Small networks and pictures, and no weights to download, in place."""
    if isinstance(node, dict):
        if (node.get('init_cfg') or {}).get('type') == 'Pretrained':
            node['init_cfg'] = None
        node.update({key: value for key, value in SMALL.items() if key in node})
        if 'num_blocks' in node:
            node['num_blocks'] = (1,) * len(node['num_blocks'])
        if 'c1_channels' in node:  # ASPP
            node['channels'] = 16
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            shrink(value)


def load_small(path):
    cfg = Config.fromfile(path)
    shrink(cfg.model)
    shrink(cfg.train_dataloader.dataset.pipeline)
    adapt_config_to_cpu(cfg)
    return cfg


def user_config(path, folder, *, scope, max_iters=2):
    write_tiny_voc(folder, size=(48, 56))  # two of VOC's classes
    parts = SEGMENTOR if path in SEGMENTORS else P2SEG
    options = dict(base=str(path), scope=scope, folder=str(folder), max_iters=max_iters)
    (folder / 'user.py').write_text(USER_CONFIG.format(**options, **parts))
    return load_small(folder / 'user.py')


def skip_without_package(path):
    if 'convnext' in path.stem:
        pytest.importorskip('mmpretrain.models', exc_type=ImportError)


@pytest.fixture(autouse=True)
def _fast_runner(monkeypatch):
    """A Runner without its four pretty-printed copies of the config, most of its time here."""
    monkeypatch.setattr(Config, 'pretty_text', property(lambda cfg: ''))


@pytest.fixture(autouse=True)
def _singletons():
    """What a Runner leaves behind in mmengine is put back: scope, message hub and so on."""
    before = [kind._instance_dict.copy() for kind in SINGLETONS]
    yield
    for kind, instances in zip(SINGLETONS, before):
        kind._instance_dict.clear()
        kind._instance_dict.update(instances)


def test_every_example_parses():
    names = {path.stem: Config.fromfile(path).model.type for path in MIXING}
    assert set(names.values()) == {'mmp2seg.P2Seg', 'mmseg.EncoderDecoder'}


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
@pytest.mark.parametrize('path', [path for path in MIXING if path != TTA], ids=name_of)
def test_trains_and_predicts_from_outside_of_the_package(path, scope, tmp_path):
    skip_without_package(path)
    # a mosaic has to have seen four images
    max_iters = 4 if 'mosaic' in path.stem else 2
    runner = Runner.from_cfg(user_config(path, tmp_path, scope=scope, max_iters=max_iters))
    before = {name: value.clone() for name, value in runner.model.named_parameters()}
    runner.train()
    scalars = runner.message_hub.log_scalars
    losses = {name: scalars[name].current() for name in scalars if 'loss' in name}
    assert len(losses) == 4  # the sum; semantic, offset and affinity
    assert all(0 < loss < 100 for loss in losses.values())
    state = dict(runner.model.named_parameters())
    heads = [name for name in before if 'head' in name and name.endswith('weight')]
    assert heads and not any(torch.equal(state[name], before[name]) for name in heads)
    metrics = runner.test()
    assert 'mIoU' in metrics if path in SEGMENTORS else (tmp_path / 'work/labels.json').is_file()


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
def test_tta_writes_pseudo_labels_from_six_copies(scope, tmp_path, monkeypatch):
    cfg = user_config(TTA, tmp_path, scope=scope)
    enable_tta(cfg)
    runner = Runner.from_cfg(cfg)
    predict_maps, seen = runner.model.module.predict_maps, []

    def record(inputs, samples):
        seen.append((samples[0].img_shape, samples[0].flip))
        return predict_maps(inputs, samples)

    monkeypatch.setattr(runner.model.module, 'predict_maps', record)
    runner.test()
    sizes = [(48, 56), (36, 42), (60, 70)]
    assert seen == [(size, flip) for size in sizes for flip in (False, True)] * 3
    assert (tmp_path / 'work' / 'labels.json').is_file()


def test_ema_follows_and_every_second_batch_steps(tmp_path):
    path = CONFIGS / 'p2seg_ema-accumulate_voc.py'
    cfg = user_config(path, tmp_path, scope='mmdet', max_iters=3)
    cfg.custom_hooks[0].momentum = 0.25
    cfg.param_scheduler[0].update(start_factor=0.5, end=2)
    cfg.param_scheduler[1].update(begin=2, end=3, T_max=1)
    runner = Runner.from_cfg(cfg)
    (ema,) = (hook for hook in runner.hooks if isinstance(hook, EMAHook))
    runner.train()
    (step, *_) = {int(one['step']) for one in runner.optim_wrapper.optimizer.state.values()}
    assert step == 2  # after batch 2, and, as the last, after batch 3
    assert int(ema.ema_model.steps) == 3
    averaged = ema.ema_model.module.semantic_head.predictor.weight
    assert not torch.equal(averaged, runner.model.semantic_head.predictor.weight)
