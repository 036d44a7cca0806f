"""Train stage 1 for some time, and watch the resources."""

import time
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmp2seg.analysis.soak.usage import Usage, read_usage
from mmp2seg.apis.runner import build_runner, innermost_dataset
from mmp2seg.datasets.shapes.dataset import SHAPES_CLASSES, write_shapes
from mmp2seg.registry import DATASETS

_ENDLESS = 10**9  # iterations
_CHECKPOINT_STEPS = 100


def soak_training(
    cfg: Config,
    folder: str | Path,
    *,
    minutes: float,
    interval: float = 10.0,
    num_workers: int = 2,
    num_images: int = 32,
    report: Callable[[Usage], None] = lambda usage: None,
) -> list[Usage]:
    """Train a stage-1 config on generated images, with data workers, logs and checkpoints.

    After each step, this process also reads an image through the training pipeline.

    Args:
        cfg: config of four classes; it is changed in place.
        folder: for the images, logs and checkpoints.
        minutes: how long to train.
        interval: seconds between two looks at the resources.
        num_workers: processes that load data.
        num_images: of the data set.
        report: called with each usage.

    Returns:
        list of the usages, in the order of time.

    Raises:
        OSError: there is no /proc, or the folder cannot be written to.
    """
    write_shapes(Path(folder) / 'shapes', num_train=num_images, num_val=0)
    _adapt(cfg, Path(folder), num_workers)
    runner = build_runner(cfg)
    dataset = DATASETS.build(innermost_dataset(cfg.train_dataloader.dataset))
    watch = _Watch(dataset, 60 * minutes, interval, report)
    runner.register_hook(watch, 'VERY_LOW')
    runner.train()
    return watch.usages


class _Watch(Hook):
    """Looks at the resources, reads an image per step and ends the training."""

    def __init__(
        self, dataset, seconds: float, interval: float, report: Callable[[Usage], None]
    ) -> None:
        self._dataset = dataset
        self._seconds = seconds
        self._interval = interval
        self._report = report
        self._start = 0.0
        self.usages: list[Usage] = []

    def before_train(self, runner: Runner) -> None:
        self._start = time.monotonic()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None):
        self._dataset[runner.iter % len(self._dataset)]
        passed = time.monotonic() - self._start
        if passed >= len(self.usages) * self._interval or passed >= self._seconds:
            self.usages.append(read_usage(passed, runner.iter + 1))
            self._report(self.usages[-1])
        if passed >= self._seconds:
            runner.train_loop.stop_training = True


def _adapt(cfg: Config, folder: Path, num_workers: int) -> None:
    """Let a config train without end on the images of the folder, and not validate."""
    innermost_dataset(cfg.train_dataloader.dataset).update(
        data_root=str(folder / 'shapes'),
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img='JPEGImages', points='Center_points', seg_map='WSSS_maps'),
        metainfo=dict(classes=SHAPES_CLASSES),
    )
    cfg.train_dataloader.num_workers = num_workers
    cfg.train_dataloader.persistent_workers = num_workers > 0
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=_ENDLESS, val_interval=_ENDLESS)
    cfg.param_scheduler = None
    for part in ('val', 'test'):
        for key in ('dataloader', 'cfg', 'evaluator'):
            cfg[f'{part}_{key}'] = None
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', by_epoch=False, interval=_CHECKPOINT_STEPS, max_keep_ckpts=1
    )
    cfg.work_dir = str(folder / 'work')
    cfg.log_level = 'WARNING'
