"""The stage-2 config of an experiment: a segmentor that trains on a given label file."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.data_files import innermost_dataset
from mmp2seg.experiments.stage2_run import Stage2Run
from mmp2seg.files.atomic_write import write_text


def config_key(content: Mapping) -> str:
    """Return eight hexadecimal digits of the hash of a config's content."""
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def segmentor_name(name: str, cfg: Config, test_data: Path | None) -> str:
    """Return a name that identifies the stage-2 config and its test data."""
    return f'{name}-{config_key({**cfg.to_dict(), "test data": test_data and test_data.name})}'


@dataclass(frozen=True)
class DataLayout:
    """Where the files of a data set are in its folder.

    Attributes:
        images: folder of the images.
        test_truth: json of the true instances of a folder to test on.
    """

    images: str
    test_truth: str


SHAPES_LAYOUT = DataLayout('JPEGImages', 'annotations/instances_val.json')
PHOTOGRAPHS_LAYOUT = DataLayout('images', 'truth.json')


def write_segmentor_config(
    run: Stage2Run,
    cfg: Config,
    *,
    labels: Path,
    train_data: Path | None = None,
    test_data: Path | None = None,
    layout: DataLayout = SHAPES_LAYOUT,
) -> None:
    """Write the config of a run; for the arguments see :func:`refinement_config`."""
    content = refinement_config(
        cfg, labels=labels, train_data=train_data, test_data=test_data, layout=layout
    )
    write_text(run.config, content.pretty_text)


def refinement_config(
    cfg: Config,
    *,
    labels: Path,
    train_data: Path | None = None,
    test_data: Path | None = None,
    layout: DataLayout = SHAPES_LAYOUT,
) -> Config:
    """Return a stage-2 config that trains on ``labels`` and is tested once, after the training.

    Args:
        cfg: config of any segmentor on a ``CocoDataset``, which may be repeated.
        labels: the json to train on.
        train_data: folder of the dataset that ``labels`` belongs to; None = the images of the
            config.
        test_data: folder of the dataset to test on; None = the test data of the config.
        layout: of both folders.

    Raises:
        CommandError: the config has no training data, test data or test metric, or its training
            data are several datasets.
    """
    for key in ('train_dataloader', 'test_dataloader', 'test_evaluator'):
        if cfg.get(key) is None:
            raise CommandError(f'--refine: {cfg.filename}: the config has no {key}')
    cfg = copy.deepcopy(cfg)
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg[key] = None
    dataset = innermost_dataset(cfg.train_dataloader.dataset)
    if 'ann_file' not in dataset:
        raise CommandError(
            f'--refine: {cfg.filename}: expected training data with one ann_file, got a '
            f'{dataset.get("type")}'
        )
    dataset.ann_file = str(labels.resolve())  # else it is joined to the config's data_root
    if train_data is not None:
        dataset.data_prefix.img = f'{train_data / layout.images}/'
        if 'seg' in dataset.data_prefix:
            dataset.data_prefix.seg = f'{train_data / "WSSS_maps"}/'
    if test_data is not None:
        truth = str(test_data / layout.test_truth)
        dataset = innermost_dataset(cfg.test_dataloader.dataset)
        dataset.update(ann_file=truth, data_prefix=dict(img=f'{test_data / layout.images}/'))
        metrics = cfg.test_evaluator
        for metric in metrics if isinstance(metrics, (list, tuple)) else [metrics]:
            metric.ann_file = truth
    return cfg
