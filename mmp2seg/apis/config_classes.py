"""The datasets of a config, and checks of their classes before anything is built."""

import os.path as osp
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.data_files import innermost_datasets
from mmp2seg.datasets.class_list import class_names
from mmp2seg.datasets.label_classes import category_names, require_label_classes
from mmp2seg.files.text_reading import read_text

_SPLITS = ('train', 'val', 'test')


def check_class_lists(cfg: Config) -> None:
    """Check every ``metainfo.classes`` of a config: a list of names, or the path of a file.

    Raises:
        CommandError: it is a str that is no file, or has a name twice. A tuple of one name needs a
            comma, and mmengine takes ``classes = 'cell'`` for the classes c, e, l, l.
    """
    for classes in _class_lists(cfg):
        if isinstance(classes, str) and osp.isfile(classes):
            continue
        try:
            class_names(classes)
        except ValueError as error:
            raise CommandError(f'{cfg.filename}: metainfo: {error}') from error


def check_label_files(cfg: Config) -> None:
    """Check the categories of the COCO jsons that mmdet's datasets and metrics read.

    See :mod:`mmp2seg.datasets.label_classes`.
    A file that is missing is left to its reader.

    Raises:
        CommandError: a file has other categories than the config's classes, or in another order.
    """
    checked: dict[tuple, None] = {}
    for split in _SPLITS:
        loader = cfg.get(f'{split}_dataloader')
        if not isinstance(loader, dict) or not isinstance(loader.get('dataset'), dict):
            continue
        for dataset in innermost_datasets(loader['dataset']):
            classes = _classes_of(dataset, cfg)
            if classes is None:
                continue
            for path in (_annotation_file(dataset), *_metric_files(cfg, split)):
                checked[path, tuple(classes)] = None
    for path, classes in checked:
        if not osp.isfile(path):
            continue
        try:
            names = category_names(read_text(path))
            if names is not None:
                require_label_classes(path, names, classes)
        except ValueError as error:
            raise CommandError(str(error)) from error


def _class_lists(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping | Config):
        for key, value in node.items():
            if (
                key == 'metainfo'
                and isinstance(value, Mapping)
                and value.get('classes') is not None
            ):
                yield value['classes']
            else:
                yield from _class_lists(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _class_lists(value)


def _classes_of(dataset: ConfigDict, cfg: Config) -> list[str] | None:
    """Return the classes of a dataset of COCO's kind; None for another one."""
    from mmdet.datasets import CocoDataset  # takes seconds, and many configs have none

    name = dataset.get('type')
    kind = name
    if isinstance(name, str):
        with DATASETS.switch_scope_and_registry(cfg.get('default_scope', 'mmdet')) as registry:
            kind = registry.get(name)
    if not (isinstance(kind, type) and issubclass(kind, CocoDataset)):
        return None
    classes = (dataset.get('metainfo') or {}).get('classes', kind.METAINFO.get('classes', ()))
    return read_text(classes).splitlines() if isinstance(classes, str) else list(classes)


def _annotation_file(dataset: ConfigDict) -> str:
    """Return the path of the annotation file, as mmengine's BaseDataset joins it."""
    path = dataset.get('ann_file', '')
    return path if osp.isabs(path) else osp.join(dataset.get('data_root') or '', path)


def _metric_files(cfg: Config, split: str) -> Iterator[str]:
    evaluator = cfg.get(f'{split}_evaluator') or []
    for metric in evaluator if isinstance(evaluator, list | tuple) else [evaluator]:
        is_coco = isinstance(metric, dict) and str(metric.get('type')).endswith('CocoMetric')
        if is_coco and isinstance(metric.get('ann_file'), str):
            yield metric['ann_file']
