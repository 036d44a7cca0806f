"""Pseudo labels of a config's data set: from a trained network, or from points and maps alone."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from mmp2seg.apis.arguments import CommandError
from mmp2seg.codecs import DROP_REASONS, PointInstances, PointPseudoLabeler
from mmp2seg.evaluation.metrics import PseudoLabelWriter
from mmp2seg.pseudo_labels.baselines import baseline_instances
from mmp2seg.registry import DATASETS

SPLITS = ('train', 'test')
_WRITER = 'PseudoLabelWriter'
_LOADING_STEPS = ('LoadImageFromFile', 'LoadPointAnnotations')


def require_writable_json(path: str) -> str:
    """``path`` if a json can be written there; makes its folder.

    Raises:
        CommandError: another suffix, or a folder that cannot be made or written to.
    """
    if not path.endswith('.json'):
        raise CommandError(f'--out: expected a .json file, got {path}')
    folder = Path(path).resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f'--out: {folder}: {error.strerror}') from error
    if Path(path).is_dir() or not os.access(folder, os.W_OK):
        raise CommandError(f'--out: cannot be written: {path}')
    return path


def label_dataset(cfg: Config, split: str) -> ConfigDict:
    """Config of the data set of a split, to be read as in a test: no augmentation, no filtering.

    Raises:
        CommandError: the config has no data loader for the split, or none for the test, whose
            pipeline is used.
    """
    for name in (f'{split}_dataloader', 'test_dataloader'):
        if cfg.get(name) is None:
            raise CommandError(f'the config has no {name}')
    dataset = cfg[f'{split}_dataloader'].dataset
    while 'dataset' in dataset:  # RepeatDataset and the like
        dataset = dataset.dataset
    pipeline = cfg.test_dataloader.dataset.pipeline
    return ConfigDict({**dataset, 'pipeline': pipeline, 'test_mode': True})


def label_writer(cfg: Config, split: str, outfile: str) -> dict:
    """Config of the metric that writes the pseudo labels of a split to ``outfile``.

    For the test split it is the config's own writer, if it has one. Otherwise images and categories
    come from the data set: from its annotation file where that is a COCO json.
    """
    metrics = cfg.get('test_evaluator') or []
    for metric in metrics if isinstance(metrics, (list, tuple)) else [metrics]:
        if split == 'test' and metric.type.split('.')[-1] == _WRITER:
            return {**metric, 'outfile': outfile}
    dataset = label_dataset(cfg, split)
    ann_file = os.path.join(dataset.get('data_root') or '', dataset.get('ann_file') or '')
    if not ann_file.endswith('.json'):
        ann_file = None
    return dict(type=f'mmp2seg.{_WRITER}', outfile=outfile, ann_file=ann_file)


def set_label_run(cfg: Config, *, split: str, outfile: str, grouping: str | None = None) -> None:
    """Let the test of ``cfg`` write the pseudo labels of a split, and do nothing else.

    Args:
        split: ``'train'`` or ``'test'``, whose data set.
        outfile: the json to write.
        grouping: of :class:`mmp2seg.codecs.PointPseudoLabeler`; None for the config's own.
    """
    cfg.test_evaluator = label_writer(cfg, split, outfile)
    cfg.test_dataloader.dataset = label_dataset(cfg, split)
    if cfg.get('test_cfg') is None:
        cfg.test_cfg = dict(type='TestLoop')
    if grouping is not None:
        cfg.merge_from_dict({'model.test_cfg.grouping': grouping})


def write_baseline_labels(
    cfg: Config,
    *,
    rule: str,
    split: str,
    outfile: str,
    track: Callable[[Iterable], Iterable] = iter,
) -> dict[str, int]:
    """Write pseudo labels made of the points and weak maps of a split, without a network.

    Which region a point belongs to is said by the model's labeler, always with
    ``conflict='nearest'``.

    Args:
        rule: see :func:`mmp2seg.pseudo_labels.baselines.baseline_instances`.
        track: wraps the indices of the images, e.g. in a progress bar.

    Returns:
        dict: the figures of :class:`mmp2seg.evaluation.metrics.PseudoLabelWriter`.
    """
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    dataset = _build_with_maps(label_dataset(cfg, split))
    labeler = {**(cfg.get('model', {}).get('labeler') or {}), 'conflict': 'nearest'}
    labeler.pop('type', None)
    labeler = PointPseudoLabeler(**labeler)
    writer = label_writer(cfg, split, outfile)
    writer.pop('type')
    writer = PseudoLabelWriter(**writer)
    writer.dataset_meta = dataset.metainfo
    for index in track(range(len(dataset))):
        image = dataset[index]
        instances = baseline_instances(
            image['gt_bboxes'].numpy(),
            image['gt_bboxes_labels'],
            image['gt_seg_map'],
            rule=rule,
            labeler=labeler,
        )
        writer.process(None, [_data_sample(image, instances)])
    return writer.evaluate(len(dataset))


def describe_labels(outfile: str, figures: dict[str, int]) -> str:
    """What a writer's figures say, in one line per kind."""
    counts = {name.split('/')[-1]: int(value) for name, value in figures.items()}
    lines = [
        f'{outfile}: {counts["num_instances"]} pseudo labels in {counts["num_images"]} images',
        f'points without a pseudo label: {counts["num_dropped"]}',
    ]
    lines += [f'  {reason}: {counts[f"num_dropped_{reason}"]}' for reason in DROP_REASONS]
    if counts['num_instances'] == 0:
        lines.append(
            'No stage 2 can train on this file. Where every point has no_region, the semantic map '
            'is background alone: the network has not been trained long enough.'
        )
    return '\n'.join(lines)


def _build_with_maps(dataset: ConfigDict) -> BaseDataset:
    """The data set with its weak maps, every image in its own frame."""
    steps = {step.type.split('.')[-1]: step for step in dataset.pipeline}
    loading = [steps[name] for name in _LOADING_STEPS if name in steps]
    loading[-1] = {**loading[-1], 'with_seg': True}
    dataset.pipeline = loading
    return DATASETS.build(dataset)


def _data_sample(image: dict, instances: PointInstances) -> dict:
    """A data sample, as a dict, with the fields that the writer reads."""
    points, labels = image['gt_bboxes'].tensor, image['gt_bboxes_labels']
    point_ids = image['gt_instances_ids']
    kept, dropped = instances.kept.numpy(), instances.dropped.numpy()
    return dict(
        img_id=image['img_id'],
        file_name=image['file_name'],
        ori_shape=image['ori_shape'],
        gt_instances=dict(point_ids=point_ids),
        pred_instances=dict(
            masks=instances.masks,
            labels=labels[kept],
            scores=instances.scores,
            points=points[kept],
            point_ids=point_ids[kept],
        ),
        dropped_points=dict(
            labels=labels[dropped],
            points=points[dropped],
            point_ids=point_ids[dropped],
            reasons=instances.reasons,
        ),
    )
