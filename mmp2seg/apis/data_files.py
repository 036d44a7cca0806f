"""Check the annotation files of a config, and the sizes of their images, before it runs."""

import os.path as osp
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, METRICS, Registry

from mmp2seg.datasets.coco_content import (
    check_file_names,
    check_image_files,
    check_image_sizes,
    check_segmentations,
)
from mmp2seg.datasets.point_reading import is_box
from mmp2seg.files.json_reading import (
    is_finite_number,
    is_integer,
    read_json_object,
    require_keys,
    require_lists,
)

# Of a dataset; the header of an image takes .2 ms, of a file on a network more.
_MOST_IMAGES = 10_000
# Classes are known by their names: this module is imported without mmdet.
_COCO_DATASET = 'mmdet.datasets.coco.CocoDataset'
_COCO_METRIC = 'mmdet.evaluation.metrics.coco_metric.CocoMetric'
_POINT_DATASET = 'mmp2seg.datasets.point_coco.PointCocoDataset'
_IDS = {
    'images': ('id',),
    'categories': ('id',),
    'annotations': ('id', 'image_id', 'category_id'),
}


def check_data_files(cfg: Config, phases: Sequence[str]) -> None:
    """Check what mmdet reads without naming the file, and what fails in the middle of a run.

    The jsons of mmdet's ``CocoDataset`` and ``CocoMetric`` are read: their ids, sizes, boxes and
    masks. Of these datasets and of ``PointCocoDataset``, the sizes of the images are compared with
    the json, which differ if one of the two is without the EXIF rotation: of all images, or of
    10,000 at equal distances. Files on other backends than the local disk are left out.

    Args:
        cfg: a config.
        phases: the data loaders and evaluators to check, such as ``'train'``, ``'val'``.

    Raises:
        FileNotFoundError: a json or an image is missing.
        ValueError: a file is broken; the message names the file and the place.
    """
    checked: set[str] = set()
    scope = cfg.get('default_scope')
    for phase in phases:
        for dataset in _datasets(cfg.get(f'{phase}_dataloader')):
            _check_dataset(dataset, _kind(dataset, DATASETS, scope), checked)
        for metric in _metrics(cfg.get(f'{phase}_evaluator')):
            path = metric.get('ann_file')
            if _kind(metric, METRICS, scope) == _COCO_METRIC and _is_local(path, metric):
                _check_json(path, checked)


def innermost_dataset(dataset: ConfigDict) -> ConfigDict:
    """Return the config of the dataset inside wrappers such as RepeatDataset."""
    while 'dataset' in dataset:
        dataset = dataset.dataset
    return dataset


def innermost_datasets(dataset: ConfigDict) -> list[ConfigDict]:
    """Return the configs of all datasets inside wrappers such as RepeatDataset and ConcatDataset.

    They are in the order of the config.
    """
    dataset = innermost_dataset(dataset)
    if 'datasets' not in dataset:
        return [dataset]
    return [inner for part in dataset.datasets for inner in innermost_datasets(part)]


def _datasets(loader: ConfigDict | None) -> list[ConfigDict]:
    return innermost_datasets(loader.dataset) if loader and 'dataset' in loader else []


def _metrics(evaluator: ConfigDict | list | None) -> Iterator[ConfigDict]:
    for metric in evaluator if isinstance(evaluator, list | tuple) else [evaluator]:
        if isinstance(metric, dict):
            yield metric


def _check_dataset(dataset: ConfigDict, kind: str | None, checked: set[str]) -> None:
    root = dataset.get('data_root') or ''
    path = osp.join(root, dataset.get('ann_file') or '')
    if kind not in (_COCO_DATASET, _POINT_DATASET) or not _is_local(path, dataset):
        return
    if kind == _COCO_DATASET:
        content = _check_json(path, checked)
    else:  # the dataset checks it
        content = read_json_object(path, lists=('images',), drop=('segmentation', 'annotations'))
        require_keys(path, 'images', content['images'], ('file_name',))
        check_file_names(path, content['images'])
    folder = osp.join(root, (dataset.get('data_prefix') or {}).get('img', ''))
    if content is not None and osp.isdir(folder):
        images = content['images']
        check_image_files(path, images[:: max(len(images) // _MOST_IMAGES, 1)], folder)


def _kind(part: ConfigDict, registry: Registry, scope: str | None) -> str | None:
    """Return the class of a part of a config, if it is one of those that are checked.

    Subclasses of other packages are not, as they can read other files, such as those of LVIS.
    """
    kind = part.get('type')
    if isinstance(kind, str):
        with registry.switch_scope_and_registry(scope) as known:
            kind = known.get(kind)
    for parent in kind.__mro__ if isinstance(kind, type) else ():
        name = f'{parent.__module__}.{parent.__qualname__}'
        if name in (_COCO_DATASET, _COCO_METRIC, _POINT_DATASET):
            return name
        if not name.startswith('mmp2seg.'):
            break
    return None


def _is_local(path: str | None, part: ConfigDict) -> bool:
    return bool(path) and part.get('backend_args') is None and '://' not in path


def _require_unique_ids(path: str, part: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Check ids that pycocotools takes as keys: one of two would get the other's entry."""
    seen: set[Any] = set()
    for index, entry in enumerate(entries):
        if entry['id'] in seen:
            raise ValueError(
                f'{path}: {part}[{index}]: expected an id of its own, got {entry["id"]!r:.60} again'
            )
        seen.add(entry['id'])


def _check_json(path: str, checked: set[str]) -> dict | None:
    """Check a json as mmdet reads it; return its content, None if it was checked before."""
    real = osp.realpath(path)
    if real in checked:
        return None
    checked.add(real)
    content = read_json_object(path, lists=('images', 'categories'))
    content.setdefault('annotations', [])  # of images that are only tested
    require_lists(path, content, ('annotations',))
    images, annotations = content['images'], content['annotations']
    require_keys(path, 'images', images, ('id', 'file_name', 'height', 'width'))
    require_keys(path, 'categories', content['categories'], ('id', 'name'))
    keys = ('id', 'image_id', 'category_id', 'bbox', 'area')
    require_keys(path, 'annotations', annotations, keys)
    check_file_names(path, images)
    check_image_sizes(path, images)
    for part, names in _IDS.items():
        for index, entry in enumerate(content[part]):
            for name in names:
                if not (is_integer(entry[name]) or isinstance(entry[name], str)):
                    raise ValueError(
                        f'{path}: {part}[{index}]: expected {name} to be int or str, '
                        f'got {entry[name]!r:.60}'
                    )
        _require_unique_ids(path, part, content[part])
    for index, annotation in enumerate(annotations):
        if not is_box(annotation['bbox']):
            raise ValueError(
                f'{path}: annotations[{index}]: expected a bbox of four numbers, '
                f'got {annotation["bbox"]!r:.60}'
            )
        if not is_finite_number(annotation['area']):
            raise ValueError(
                f'{path}: annotations[{index}]: expected area to be a number, '
                f'got {annotation["area"]!r:.60}'
            )
    known = {image['id'] for image in images}
    check_segmentations(path, images, [a for a in annotations if a['image_id'] in known])
    return content
