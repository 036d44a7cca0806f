"""Let stage 2 improve the labels that it trains on."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from mmengine.config import ConfigDict
from mmengine.dist import barrier, gather_object, is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import assemble, load
from mmp2seg.pseudo_labels.labels import ImageLabels, PseudoLabels
from mmp2seg.pseudo_labels.refresh import PredictedInstances, RefreshedImage, refresh_image
from mmp2seg.registry import HOOKS

_META_KEY = 'refreshed_labels'


@HOOKS.register_module()
class LabelRefreshHook(Hook):
    """Replace pseudo masks by the segmentor's own, at some points of a training of stage 2.

    After each of ``milestones``, a teacher finds the instances of the training images, without
    augmentation, and :func:`mmp2seg.pseudo_labels.refresh.refresh_image` decides which masks they
    replace. The training goes on with the new labels. The teacher is the average of mmengine's
    ``EMAHook`` if the config has one, otherwise the network itself.

    The labels of each refresh are ``refreshed_labels/<milestone>.json`` in the work dir, pseudo
    labels like the first ones; the file of the training itself is not changed. Checkpoints name the
    labels of their time, so a resumed training goes on with these.

    Args:
        milestones: epochs of a training by epochs, or iterations, ascending.
        min_score: lowest score of a prediction that replaces a mask.
        min_iou: lowest IoU with the mask that it replaces.
        pipeline: config of the transforms that load an image for the teacher. None: those of the
            config's ``test_dataloader``.
    """

    priority = 'LOW'  # after EMAHook, before CheckpointHook

    def __init__(
        self,
        milestones: Sequence[int],
        *,
        min_score: float = 0.7,
        min_iou: float = 0.5,
        pipeline: list[dict] | None = None,
    ) -> None:
        if not milestones or list(milestones) != sorted(set(milestones)) or milestones[0] < 1:
            raise ValueError(f'expected ascending milestones of at least 1, got {milestones}')
        self._milestones = list(milestones)
        self._min_score, self._min_iou = min_score, min_iou
        self._pipeline = pipeline
        self._name: str | None = None  # of the file of labels, None: those of the config

    def before_train(self, runner: Runner) -> None:
        """Read the labels of a resumed training's checkpoint.

        Raises:
            ValueError: the labels are not pseudo labels, or not those of one data set; names the
                file.
            FileNotFoundError: the labels of the checkpoint are missing.
        """
        load(self._path(runner))
        if self._name is not None:
            self._use_labels(runner)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None
    ) -> None:
        """Refresh after an iteration that is a milestone."""
        if not _is_by_epoch(runner):
            # the loop counts the iteration after this
            self._refresh_at(runner, runner.iter + 1, runner.max_iters)

    def after_train_epoch(self, runner: Runner) -> None:
        """Refresh after an epoch that is a milestone."""
        if _is_by_epoch(runner):
            self._refresh_at(runner, runner.epoch + 1, runner.max_epochs)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note which labels the training has."""
        checkpoint[_META_KEY] = self._name

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the labels of the checkpoint, if the training is resumed."""
        if runner._resume:
            self._name = checkpoint.get(_META_KEY)

    def _refresh_at(self, runner: Runner, milestone: int, end: int) -> None:
        if milestone not in self._milestones or milestone >= end:
            return
        labels = PseudoLabels.load(self._path(runner))
        parts = list(labels)
        found = self._predict(runner, parts, milestone)
        self._name = f'{milestone}.json'
        if is_main_process():
            self._write(runner, labels, [found[part.image['id']] for part in parts], milestone)
        barrier()
        self._use_labels(runner, milestone)

    def _write(
        self, runner: Runner, labels: PseudoLabels, images: list[RefreshedImage], milestone: int
    ) -> None:
        content = labels.to_coco()
        counts = {
            'milestone': milestone,
            'num_replaced': sum(image.num_replaced for image in images),
            'num_found': sum(image.num_found for image in images),
        }
        path = self._path(runner)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            path,
            assemble(
                content['images'],
                content['categories'],
                [ann for image in images for ann in image.annotations],
                [point for image in images for point in image.dropped_points],
                {**content['info'], 'refreshed': [*content['info'].get('refreshed', []), counts]},
            ),
        )
        print_log(
            f'{path}: {counts["num_replaced"]} of {labels.num_instances} masks replaced, '
            f'{counts["num_found"]} points without a mask got one',
            logger='current',
        )

    @torch.no_grad()
    def _predict(
        self, runner: Runner, parts: list[ImageLabels], milestone: int
    ) -> dict[int, RefreshedImage]:
        """Refresh the labels of all images, each process its part; complete on the main one."""
        loader = self._teacher_loader(runner)
        category_ids = loader.dataset.cat_ids  # by label
        part_of_id = {part.image['id']: part for part in parts}
        teacher = _teacher(runner)
        was_training = teacher.training
        teacher.eval()
        found = {}
        for batch in loader:
            for sample in teacher.test_step(batch):
                image_id = sample.img_id
                found[image_id] = refresh_image(
                    part_of_id[image_id],
                    _predicted_instances(
                        sample.pred_instances, category_ids, min_score=self._min_score
                    ),
                    min_score=self._min_score,
                    min_iou=self._min_iou,
                    round_name=milestone,
                )
        teacher.train(was_training)
        for other in gather_object(found, dst=0) or []:
            found.update(other)
        return found

    def _teacher_loader(self, runner: Runner) -> torch.utils.data.DataLoader:
        cfg = copy.deepcopy(runner.cfg.train_dataloader)
        dataset = _innermost_config(cfg.dataset)
        dataset.ann_file = str(self._path(runner))
        dataset.test_mode = True  # no image is left out
        dataset.pipeline = self._pipeline or _test_pipeline(runner)
        return runner.build_dataloader(
            dict(
                dataset=dataset,
                batch_size=1,  # images of other sizes would be padded
                num_workers=cfg.get('num_workers', 0),
                sampler=dict(type='mmengine.DefaultSampler', shuffle=False),
                **{key: cfg[key] for key in ('worker_init_fn',) if key in cfg},
            )
        )

    def _use_labels(self, runner: Runner, num_iters: int = 0) -> None:
        """Let the training loop read the present labels from its place in the data on."""
        cfg = copy.deepcopy(runner.cfg.train_dataloader)
        dataset = _innermost_config(cfg.dataset)
        dataset.ann_file = str(self._path(runner))
        loop = runner.train_loop
        loop.dataloader = runner.build_dataloader(
            cfg,
            seed=runner.seed,
            diff_rank_seed=runner._randomness_cfg.get('diff_rank_seed', False),
        )
        if not _is_by_epoch(runner):
            iterator = type(loop.dataloader_iterator)(loop.dataloader)
            loop.dataloader_iterator = iterator
            _skip(iterator, num_iters)  # a resumed loop skips on its own

    def _path(self, runner: Runner) -> Path:
        """Return the file of the present labels."""
        if self._name is not None:
            return Path(runner.work_dir, 'refreshed_labels', self._name).absolute()
        dataset = _innermost_config(runner.cfg.train_dataloader.dataset)
        return Path(dataset.get('data_root') or '', dataset.ann_file).absolute()


def _is_by_epoch(runner: Runner) -> bool:
    return isinstance(runner.train_loop, EpochBasedTrainLoop)


def _teacher(runner: Runner) -> nn.Module:
    """Return the average of an EMAHook, otherwise the network itself."""
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            return hook.ema_model.module
    model = runner.model
    return model.module if is_model_wrapper(model) else model


def _predicted_instances(
    instances: InstanceData, category_ids: Sequence[int], *, min_score: float
) -> PredictedInstances:
    """Convert predictions of mmdet, those of at least ``min_score``."""
    instances = instances[instances.scores >= min_score]
    masks = instances.masks
    masks = masks.cpu().numpy() if isinstance(masks, Tensor) else masks
    return PredictedInstances(
        [category_ids[label] for label in instances.labels.tolist()],
        instances.scores.tolist(),
        [encode_rle(mask) for mask in masks],
    )


def _test_pipeline(runner: Runner) -> list[dict]:
    loader = runner.cfg.get('test_dataloader') or runner.cfg.get('val_dataloader')
    if loader is None:
        raise ValueError(
            'LabelRefreshHook: expected the pipeline or a test_dataloader in the config, got none'
        )
    return _innermost_config(loader.dataset).pipeline


def _innermost_config(dataset: ConfigDict) -> ConfigDict:
    """Return the config of the dataset inside wrappers such as RepeatDataset.

    Raises:
        ValueError: there are several.
    """
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if 'datasets' in dataset:
        raise ValueError(
            'LabelRefreshHook: expected one train dataset of pseudo labels, got a '
            f'{dataset.get("type")} of {len(dataset.datasets)}'
        )
    return dataset


def _skip(iterator: Iterator, num_iters: int) -> None:
    """Go on to the place of the data after ``num_iters`` iterations."""
    if hasattr(iterator, 'skip_iter'):
        iterator.skip_iter(num_iters)
    else:  # older mmengine
        for _ in range(num_iters):
            next(iterator)
