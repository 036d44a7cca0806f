"""Pseudo labels as COCO json: instances with RLE masks, each with the point that it grew from.

Layout of a file, beyond what COCO prescribes::

    annotations[]: score, point [x, y], point_id
    dropped_points[]: image_id, category_id, point [x, y], point_id, reason
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.files.json_reading import read_json_object, require_keys
from mmp2seg.ops.rle import encode_rle

ANNOTATION_KEYS = (
    'id',
    'image_id',
    'category_id',
    'bbox',
    'area',
    'segmentation',
    'iscrowd',
    'score',
    'point',
    'point_id',
)
DROPPED_KEYS = ('image_id', 'category_id', 'point', 'point_id', 'reason')


def encode_instances(
    masks: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    points: np.ndarray,
    point_ids: np.ndarray,
    *,
    image_id: int,
    category_ids: Sequence[int],
) -> list[dict]:
    """Annotations of one image, without ids (:func:`assemble` gives them).

    Args:
        masks: ``(M, H, W)`` bool, in the frame of the image file; encoded one at a time.
        labels: ``(M,)`` integers ``0..K-1``.
        scores: ``(M,)`` finite floats.
        points: ``(M, 2)`` floats, ``(x, y)`` in the same frame.
        point_ids: ``(M,)`` integers.
        image_id: COCO id of the image.
        category_ids: The ``K`` COCO category ids in the order of the labels.

    Returns:
        list[dict]: ``M`` annotations of plain json types; ``[]`` for ``M == 0``.

    Raises:
        ValueError: Lengths that differ, a label without category, a score that is not finite, or
            an empty mask (mmdet would silently skip it; such a point belongs in the dropped ones).
    """
    masks = np.asarray(masks)
    fields = (masks, labels, scores, points, point_ids)
    lengths = [len(field) for field in fields]
    if len(set(lengths)) > 1:
        raise ValueError(
            f'image {image_id}: expected as many masks as labels, scores, points and point ids, '
            f'got {lengths}'
        )
    annotations = []
    for mask, label, score, point, point_id in zip(*fields, strict=True):
        where = f'image {image_id}, point {int(point_id)}'
        if not np.isfinite(float(score)):
            raise ValueError(f'{where}: expected a finite score, got {float(score)}')
        rle = encode_rle(mask)
        area = int(mask_utils.area(rle))
        if area == 0:
            raise ValueError(f'{where}: expected a mask with pixels, got an empty one')
        annotations.append(
            {
                'image_id': image_id,
                'category_id': _category_of(label, category_ids, where),
                'bbox': [float(side) for side in mask_utils.toBbox(rle)],
                'area': area,
                'segmentation': rle,
                'iscrowd': 0,
                'score': _plain_float(score),
                'point': [_plain_float(coordinate) for coordinate in point],
                'point_id': int(point_id),
            }
        )
    return annotations


def encode_dropped_points(
    labels: np.ndarray,
    points: np.ndarray,
    point_ids: np.ndarray,
    reasons: Sequence[str],
    *,
    image_id: int,
    category_ids: Sequence[int],
) -> list[dict]:
    """Entries of ``dropped_points`` of one image; arguments as in :func:`encode_instances`."""
    lengths = [len(field) for field in (labels, points, point_ids, reasons)]
    if len(set(lengths)) > 1:
        raise ValueError(
            f'image {image_id}: expected as many labels as points, point ids and reasons of '
            f'dropped points, got {lengths}'
        )
    return [
        {
            'image_id': image_id,
            'category_id': _category_of(label, category_ids, f'image {image_id}, point {point_id}'),
            'point': [_plain_float(coordinate) for coordinate in point],
            'point_id': int(point_id),
            'reason': str(reason),
        }
        for label, point, point_id, reason in zip(labels, points, point_ids, reasons, strict=True)
    ]


def assemble(
    images: Iterable[dict],
    categories: Iterable[dict],
    annotations: Iterable[dict],
    dropped: Iterable[dict],
    info: dict,
) -> dict:
    """One COCO json of the parts.

    Images and categories are kept as they come. Annotations get the ids 1, 2, ... in the order of
    image and point id, so the file does not depend on the order in which ranks delivered them.

    Raises:
        ValueError: An image or category that is not listed, a mask of another size than its image,
            or a point with two entries; named by image and point.
    """
    images, categories = [dict(image) for image in images], [dict(c) for c in categories]
    annotations = sorted(annotations, key=_image_and_point)
    dropped = sorted(dropped, key=_image_and_point)
    _check_entries(images, categories, annotations, dropped)
    return {
        'info': dict(info),
        'images': images,
        'categories': categories,
        'annotations': [
            {'id': index, **{key: ann[key] for key in ANNOTATION_KEYS if key != 'id'}}
            for index, ann in enumerate(annotations, start=1)
        ],
        'dropped_points': dropped,
    }


def load(path: str | Path) -> dict:
    """Read a pseudo label json and check it.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no json, a part or key is missing, or its entries contradict each other;
            names the file and the place.
    """
    content = read_json_object(path, lists=('images', 'categories', 'annotations'))
    content.setdefault('info', {})
    content.setdefault('dropped_points', [])
    require_keys(path, 'images', content['images'], ('id', 'file_name', 'height', 'width'))
    require_keys(path, 'categories', content['categories'], ('id', 'name'))
    require_keys(path, 'annotations', content['annotations'], ANNOTATION_KEYS)
    require_keys(path, 'dropped_points', content['dropped_points'], DROPPED_KEYS)
    try:
        _check_entries(*(content[part] for part in _PARTS))
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return content


def merge(*paths: str | Path) -> dict:
    """Join several pseudo label jsons, e.g. of parts of a data set.

    An image may be listed in several files, a point have its entry in only one of them.

    Returns:
        dict: As :func:`assemble`; ``info`` is that of the first file plus ``merged_from``.

    Raises:
        ValueError: No files, other categories, an image id or file name with two meanings, or a
            point with two entries; names the two files.
    """
    if not paths:
        raise ValueError('expected at least one file to merge, got none')
    contents = [load(path) for path in paths]
    images: dict[int, dict] = {}
    seen: dict[tuple, Any] = {}
    for path, content in zip(paths, contents, strict=True):
        if content['categories'] != contents[0]['categories']:
            raise ValueError(f'{paths[0]} and {path}: expected the same categories in both')
        for image in content['images']:
            if images.setdefault(image['id'], image) != image:
                raise ValueError(
                    f'{seen["id", image["id"]]} and {path}: image id {image["id"]} is '
                    f'{images[image["id"]]} in one and {image} in the other'
                )
            first = seen.setdefault(('id', image['id']), path)
            owner = seen.setdefault(('name', image['file_name']), (image['id'], first))
            if owner[0] != image['id']:
                raise ValueError(
                    f'{owner[1]} and {path}: image {image["file_name"]} has the ids {owner[0]} '
                    f'and {image["id"]}'
                )
        for entry in content['annotations'] + content['dropped_points']:
            key = ('point', *_image_and_point(entry))
            if key in seen:
                raise ValueError(
                    f'{seen[key]} and {path}: point {entry["point_id"]} of image '
                    f'{entry["image_id"]} has an entry in both'
                )
            seen[key] = path
    return assemble(
        images.values(),
        contents[0]['categories'],
        [ann for content in contents for ann in content['annotations']],
        [point for content in contents for point in content['dropped_points']],
        {**contents[0]['info'], 'merged_from': [Path(path).name for path in paths]},
    )


def category_ids_of(categories: Sequence[dict], classes: Sequence[str] | None) -> list[int]:
    """COCO category ids in the order of the labels.

    Args:
        categories: ``categories`` of a COCO json.
        classes: Names of the labels ``0..K-1``; ``None``: the categories in their order.

    Raises:
        ValueError: A class without category.
    """
    if classes is None:
        return [category['id'] for category in categories]
    id_of_name = {category['name']: category['id'] for category in categories}
    missing = [name for name in classes if name not in id_of_name]
    if missing:
        raise ValueError(f'expected a category for each class, got none for {missing}')
    return [id_of_name[name] for name in classes]


_PARTS = ('images', 'categories', 'annotations', 'dropped_points')


def _check_entries(
    images: list[dict], categories: list[dict], annotations: list[dict], dropped: list[dict]
) -> None:
    image_of_id = {image['id']: image for image in images}
    if len(image_of_id) < len(images):
        raise ValueError('expected image ids that differ, got one twice')
    category_ids = {category['id'] for category in categories}
    seen = set()
    for entry in [*annotations, *dropped]:
        key = _image_and_point(entry)
        where = f'image {key[0]}, point {key[1]}'
        if key[0] not in image_of_id:
            raise ValueError(f'{where}: the image is not in the list of images')
        if entry['category_id'] not in category_ids:
            raise ValueError(f'{where}: category {entry["category_id"]} is not in the list')
        if key in seen:
            raise ValueError(f'{where}: expected one entry for each point, got two')
        seen.add(key)
    for ann in annotations:
        image = image_of_id[ann['image_id']]
        where = f'image {ann["image_id"]} ({image["file_name"]}), point {ann["point_id"]}'
        size = [image['height'], image['width']]
        if ann['segmentation']['size'] != size:
            raise ValueError(
                f'{where}: expected a mask of the image size {size}, '
                f'got {ann["segmentation"]["size"]}'
            )
        if not isinstance(ann['segmentation']['counts'], str):
            raise ValueError(f'{where}: expected RLE counts as str, mmdet ignores all others')


def _image_and_point(entry: dict) -> tuple[int, int]:
    return entry['image_id'], entry['point_id']


def _category_of(label: int, category_ids: Sequence[int], where: str) -> int:
    label = int(label)
    if not 0 <= label < len(category_ids):
        raise ValueError(f'{where}: expected a label in 0..{len(category_ids) - 1}, got {label}')
    return int(category_ids[label])


def _plain_float(value: float) -> float:
    # the shortest decimal that reads back as the same float32: 12.3, not 12.300000190734863
    return float(str(np.float32(value)))
