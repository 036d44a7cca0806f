"""Write pseudo labels for a config's dataset, with a trained network or from weak maps alone."""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.data_files import innermost_dataset
from mmp2seg.codecs import DROP_REASONS
from mmp2seg.codecs.building import build_codecs
from mmp2seg.codecs.data_samples import add_instances
from mmp2seg.evaluation.metrics import PseudoLabelWriter
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.folders import require_writable
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.pseudo_labels.fallback import with_fallback
from mmp2seg.registry import DATASETS
from mmp2seg.version import __version__

# Grouping of the decoder for each baseline that uses no network.
BASELINE_RULES = {'component': 'region', 'nearest': 'nearest'}
_WRITER = 'PseudoLabelWriter'
_LOADING_STEPS = ('LoadImageFromFile', 'LoadPointAnnotations')


def require_writable_json(path: str) -> str:
    """Check that a json can be written to ``path``, create its folder, and return ``path``.

    Raises:
        CommandError: the suffix is not .json, or the folder cannot be created or written to.
    """
    if not path.endswith('.json'):
        raise CommandError(f'--out: expected a .json file, got {path}')
    folder = Path(path).resolve().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        require_writable(folder)
    except OSError as error:
        raise CommandError(f'--out: {folder}: {error.strerror}') from error
    if Path(path).is_dir():
        raise CommandError(f'--out: cannot be written: {path}')
    return path


def label_dataset(cfg: Config, split: str) -> ConfigDict:
    """Return a split's dataset config with the test pipeline: no augmentation, no filtering.

    Raises:
        CommandError: the config has no data loader for the split or for the test.
    """
    for name in (f'{split}_dataloader', 'test_dataloader'):
        if cfg.get(name) is None:
            raise CommandError(f'the config has no {name}')
    dataset = innermost_dataset(cfg[f'{split}_dataloader'].dataset)
    pipeline = innermost_dataset(cfg.test_dataloader.dataset).pipeline
    return ConfigDict({**dataset, 'pipeline': pipeline, 'test_mode': True})


def label_writer(cfg: Config, split: str, outfile: str) -> dict:
    """Return the config of the metric that writes the pseudo labels of a split to ``outfile``.

    For the test split this is the config's own writer, if there is one. Otherwise the images and
    categories are taken from the dataset's annotation file if it is a COCO json, or else from the
    dataset.
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


def stage1_model(cfg: Config) -> ConfigDict:
    """Return the config of the stage-1 detector, also from inside a test-time augmentation model.

    Raises:
        CommandError: the config is not a stage-1 config.
    """
    model = cfg.get('model') or ConfigDict()
    if 'module' in model:  # test-time augmentation
        model = model.module
    if 'offset_head' not in model:
        raise CommandError(
            f'{cfg.filename}: expected a config of stage 1, whose model has an offset_head; a '
            'segmentor of stage 2 takes no points: tools/test.py'
        )
    return model


def set_label_run(cfg: Config, *, split: str, outfile: str, grouping: str | None = None) -> None:
    """Make the test of ``cfg`` write the pseudo labels of a split and do nothing else.

    Images that an interrupted run has finished are not labelled again, unless the checkpoint
    (``cfg.load_from``), the model, the data or the points have changed.

    Args:
        split: ``'train'`` or ``'test'``, the dataset to label.
        outfile: the json to write.
        grouping: see :class:`mmp2seg.codecs.InstanceDecoder`; None = the config's value.
            ``'nearest'`` and ``'region'`` divide the map of the network alone.
    """
    cfg.test_evaluator = label_writer(cfg, split, outfile)
    cfg.test_dataloader.dataset = label_dataset(cfg, split)
    if grouping is not None:
        model = stage1_model(cfg)
        test_cfg = model.get('test_cfg') or {}
        decoder = {**(test_cfg.get('decoder') or {}), 'grouping': grouping}
        model.test_cfg = {**test_cfg, 'decoder': decoder}
        if grouping != 'offset':
            # these divide a map without propagation; with the weak map's share, its values, 0 or 1,
            # would decide most pixels
            model.test_cfg['use_weak_map'] = False
    batch_size = cfg.test_dataloader.get('batch_size', 1)
    cfg.test_dataloader.sampler = dict(
        type='mmp2seg.UnfinishedSampler',
        outfile=outfile,
        settings=_settings(cfg),
        batch_size=batch_size,
    )
    fp16 = (cfg.get('test_cfg') or {}).get('fp16', False)
    cfg.test_cfg = dict(type='mmp2seg.LabelLoop', fp16=fp16)


def write_baseline_labels(
    cfg: Config,
    *,
    rule: str,
    split: str,
    outfile: str,
    track: Callable[[Iterable], Iterable] = iter,
) -> dict[str, int]:
    """Write pseudo labels from the points and weak maps of a split, without a network.

    The decoder divides the weak map into instances; the model's labeler determines the region of
    each point.

    Args:
        rule: ``'component'``: each point gets its whole region, so points of one region have the
            same mask; ``'nearest'``: each pixel of a region is assigned to the nearest of the
            region's points.
        track: function that wraps the indices of the images, e.g. to show a progress bar.

    Returns:
        dict: the figures of :class:`mmp2seg.evaluation.metrics.PseudoLabelWriter`.

    Raises:
        ValueError: for an unknown ``rule``.
    """
    if rule not in BASELINE_RULES:
        raise ValueError(f'expected rule to be one of {tuple(BASELINE_RULES)}, got {rule!r}')
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    decoder_cfg = dict(grouping=BASELINE_RULES[rule])
    _, decoder = build_codecs(stage1_model(cfg).get('labeler'), decoder_cfg)
    dataset = _build_with_maps(label_dataset(cfg, split))
    writer = label_writer(cfg, split, outfile)
    writer.pop('type')
    writer = PseudoLabelWriter(**writer)
    writer.dataset_meta = dataset.metainfo
    for index in track(range(len(dataset))):
        sample = dataset[index]['data_samples']
        semantic_map = sample.gt_sem_seg.sem_seg[0].long()
        points = sample.ori_points
        add_instances(sample, decoder.cut(semantic_map, points.points, points.labels))
        writer.process(None, [sample.to_dict()])
    return writer.evaluate(len(dataset))


def require_labels(option: str, path: str) -> None:
    """Check a pseudo label json that a command reads later.

    Raises:
        CommandError: it cannot be read or is broken; names ``option``.
    """
    try:
        load(path)
    except (OSError, ValueError) as error:
        raise CommandError(f'{option}: {error}') from error


def apply_fallback(outfile: str, start: str, min_click_score: float) -> str:
    """Give points that the network does not see their masks of another file, and say how many.

    Args:
        outfile: pseudo labels of a network; it is written anew.
        start: pseudo labels of the same points, see
            :func:`mmp2seg.pseudo_labels.fallback.with_fallback`.
        min_click_score: a probability.

    Raises:
        CommandError: a file is broken, or they do not fit together.
    """
    try:
        content, taken = with_fallback(outfile, start, min_click_score=min_click_score)
    except (OSError, ValueError) as error:
        raise CommandError(f'--start: {error}') from error
    write_json(outfile, content)
    total = len(content['annotations']) + len(content['dropped_points'])
    text = f'{taken} of {total} points, which the network does not see, have their masks of {start}'
    if taken > total / 2:
        text += (
            '\nThe network has not learned what the clicks say: train longer, or use the labels of '
            f'{start} as they are'
        )
    return text


def describe_labels(outfile: str, figures: dict[str, int]) -> str:
    """Describe the figures of a pseudo label writer, one line per kind."""
    counts = {name.split('/')[-1]: int(value) for name, value in figures.items()}
    lines = [
        f'{outfile}: {counts["num_instances"]} pseudo labels in {counts["num_images"]} images',
        f'points without a pseudo label: {counts["num_dropped"]}',
    ]
    lines += [f'  {reason}: {counts[f"num_dropped_{reason}"]}' for reason in DROP_REASONS]
    if counts['num_instances'] == 0:
        lines.append(
            'Stage 2 cannot train on this file. If every point has no_region, the semantic map is '
            'all background: the network needs more training.'
        )
    return '\n'.join(lines)


def _settings(cfg: Config) -> dict:
    """Return what the labels of a run depend on besides the points, as plain json types."""
    checkpoint = cfg.get('load_from')
    if checkpoint is not None and os.path.isfile(checkpoint):
        checkpoint = hashlib.sha256(Path(checkpoint).read_bytes()).hexdigest()
    loader = cfg.test_dataloader
    parts = [cfg.model, loader.dataset, loader.get('batch_size', 1), cfg.get('test_cfg')]
    return {
        'version': __version__,
        'checkpoint': checkpoint,
        'config': hashlib.sha256(repr(parts).encode()).hexdigest(),
    }


def _build_with_maps(dataset: ConfigDict) -> BaseDataset:
    """Build the dataset with its weak maps, with every image in its original frame."""
    steps = {step.type.split('.')[-1]: step for step in dataset.pipeline}
    loading = [steps[name] for name in _LOADING_STEPS if name in steps]
    loading[-1] = {**loading[-1], 'with_seg': True}
    dataset.pipeline = [*loading, dict(type='mmp2seg.PackPointInputs')]
    return DATASETS.build(dataset)
