"""Pseudo labels as COCO json: instances with RLE masks, each with the point it comes from.

Layout of a file, in addition to COCO's keys::

    annotations[]: score, point [x, y], point_id, and optional keys
    dropped_points[]: image_id, category_id, point [x, y], point_id, reason

A point has the coordinates and the id of the annotation file, and it has exactly one entry, in one
of the two lists. The optional keys are

- ``click_score``: the probability that the network itself gives the point's class at the point;
- ``candidates``: the masks that a method had for the point, from the smallest to the largest, each
  with ``segmentation`` and ``score``; they may be empty and may overlap the masks of other points;
- ``candidate``: the place among them of the one that ``segmentation`` was made of;
- ``supervision``: what the mask is made of: ``'mask'`` is a true mask, unchanged, with the score 1;
  ``'box'`` a point in a true box; ``'point'``, or no entry, a point alone;
- ``refreshed``: the iteration or epoch of stage 2 that the mask is from
  (:func:`mmp2seg.pseudo_labels.refresh.refresh_image`).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils
from torch import Tensor

from mmp2seg.codecs import DROP_REASONS
from mmp2seg.datasets.coco_content import check_image_sizes
from mmp2seg.datasets.point_reading import is_box, parse_point
from mmp2seg.datasets.point_supervision import supervision_kind
from mmp2seg.files.json_reading import (
    is_finite_number,
    is_integer,
    read_json_object,
    require_keys,
    require_lists,
)
from mmp2seg.ops.rle import Rle, encode_rle, first_broken

# An entry of a json, or a whole one.
Entry = dict[str, Any]

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
OPTIONAL_KEYS = ('click_score', 'candidate', 'candidates', 'supervision', 'refreshed')
DROPPED_KEYS = ('image_id', 'category_id', 'point', 'point_id', 'reason')
_NUMBERS = ('area', 'score', 'click_score')
_PARTS = ('images', 'categories', 'annotations', 'dropped_points')
ID_KEYS = {
    'images': ('id',),
    'categories': ('id',),
    'annotations': ('image_id', 'category_id', 'point_id'),
    'dropped_points': ('image_id', 'category_id', 'point_id'),
}


def encode_image(
    data_sample: Mapping[str, Any], category_ids: Sequence[int]
) -> tuple[list[Entry], list[Entry]]:
    """Return the entries of one image: its instances and its dropped points.

    Args:
        data_sample: with ``img_id``, ``pred_instances``, ``dropped_points`` (optional) and
            ``ori_points`` (optional), as in :mod:`mmp2seg.structures.fields`; their values are
            tensors or arrays. Masks are encoded one at a time; they may also be a list of RLEs
            (:func:`mmp2seg.ops.rle.encode_rle`). ``pred_instances`` may have ``candidates``: of
            each instance a :class:`mmp2seg.segmenters.PointCandidates` or None.
        category_ids: the K COCO category ids in the order of the labels.

    Returns:
        tuple: ``annotations`` without ids (:func:`assemble` numbers them) and ``dropped_points``,
        as plain json types.

    Raises:
        ValueError: a label has no category, a score is not finite, a mask is empty (mmdet would
            skip it silently; its point belongs to the dropped points), or, with ``ori_points``, a
            point has no entry or two; the message names image and point.
    """
    image_id, pred = data_sample['img_id'], data_sample['pred_instances']
    dropped_points = data_sample.get('dropped_points') or {}
    fields = ('labels', 'points', 'point_ids')
    annotations, dropped = [], []
    click_scores = pred.get('click_scores')
    if click_scores is not None:
        click_scores = to_numpy(click_scores)
    candidates = pred.get('candidates')
    kinds = pred.get('supervision')
    for index, (mask, score, *point) in enumerate(
        _rows(pred, ('masks', 'scores', *fields), image_id)
    ):
        entry = _point_entry(*point, image_id=image_id, category_ids=category_ids)
        where = f'image {image_id}, point {entry["point_id"]}'
        if not np.isfinite(score):
            raise ValueError(f'{where}: expected a finite score, got {float(score)}')
        rle = mask if isinstance(mask, dict) else encode_rle(mask)
        of_mask = mask_entries(rle)
        if of_mask['area'] == 0:
            raise ValueError(f'{where}: expected a mask with pixels, got an empty one')
        if click_scores is not None:
            entry['click_score'] = _short_float(click_scores[index])
        if candidates is not None and candidates[index] is not None:
            entry['candidate'] = candidates[index].chosen
            entry['candidates'] = [
                {'segmentation': each.rle, 'score': _short_float(np.float32(each.score))}
                for each in candidates[index].masks
            ]
        if kinds is not None:
            entry['supervision'] = str(kinds[index])
        annotations.append(
            {
                **entry,
                **of_mask,
                'iscrowd': 0,
                'score': _short_float(score),
            }
        )
    for reason, *point in _rows(dropped_points, ('reasons', *fields), image_id):
        entry = _point_entry(*point, image_id=image_id, category_ids=category_ids)
        dropped.append({**entry, 'reason': str(reason)})
    if 'ori_points' in data_sample:
        expected = to_numpy(data_sample['ori_points']['point_ids']).tolist()
        _check_each_point_once(image_id, expected, [*annotations, *dropped])
    return annotations, dropped


def mask_entries(rle: Rle) -> Entry:
    """Return what an annotation says of its mask: ``bbox``, ``area`` and ``segmentation``."""
    return {
        'bbox': [float(side) for side in mask_utils.toBbox(rle)],
        'area': int(mask_utils.area(rle)),
        'segmentation': rle,
    }


def assemble(
    images: Iterable[Entry],
    categories: Iterable[Entry],
    annotations: Iterable[Entry],
    dropped: Iterable[Entry],
    info: Entry,
) -> Entry:
    """Assemble the parts of a COCO json.

    Images and categories keep their order. Annotations get the ids 1, 2, ... in the order of image
    id and point id, so the file does not depend on the order in which ranks deliver them.

    Raises:
        ValueError: an image or category is not listed, a mask has another size than its image, or a
            point has two entries; the message names image and point.
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
            {
                'id': index,
                **{key: ann[key] for key in ANNOTATION_KEYS if key != 'id'},
                **{key: ann[key] for key in OPTIONAL_KEYS if key in ann},
            }
            for index, ann in enumerate(annotations, start=1)
        ],
        'dropped_points': dropped,
    }


def load(path: str | Path) -> Entry:
    """Read a pseudo label json and check it.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: it is not a json, a part or key is missing, a value is of another kind, a mask
            is no compressed RLE of its image, or entries contradict each other; the message names
            the file and the place.
    """
    return check_content(read_json_object(path), where=path)


def check_content(content: Mapping[str, Any], *, where: str | Path) -> Entry:
    """Check the content of a pseudo label json, and add what may be missing in it.

    Args:
        content: not changed; its entries are in the result.
        where: the file, for the messages.

    Raises:
        ValueError: see :func:`load`.
    """
    path, content = where, {'info': {}, 'dropped_points': [], **content}
    require_lists(path, content, ('images', 'categories', 'annotations', 'dropped_points'))
    if not isinstance(content['info'], dict):
        raise ValueError(f'{path}: expected info to be an object, got {content["info"]!r:.60}')
    require_keys(path, 'images', content['images'], ('id', 'file_name', 'height', 'width'))
    require_keys(path, 'categories', content['categories'], ('id', 'name'))
    require_keys(path, 'annotations', content['annotations'], ANNOTATION_KEYS)
    require_keys(path, 'dropped_points', content['dropped_points'], DROPPED_KEYS)
    for part, keys in ID_KEYS.items():
        require_integers(path, part, content[part], keys)
    check_image_sizes(path, content['images'])
    for part, key in (('images', 'file_name'), ('categories', 'name')):
        for index, entry in enumerate(content[part]):
            if not isinstance(entry[key], str):
                place = f'{path}: {part}[{index}]'
                raise ValueError(f'{place}: expected {key} to be a text, got {entry[key]!r:.60}')
    for part in ('annotations', 'dropped_points'):
        for index, entry in enumerate(content[part]):
            parse_point(entry['point'], where=f'{path}: {part}[{index}]')
    for index, entry in enumerate(content['annotations']):
        _check_numbers(entry, where=f'{path}: annotations[{index}]')
        supervision_kind(entry, where=f'{path}: annotations[{index}]')
    for index, entry in enumerate(content['dropped_points']):
        if entry['reason'] not in list(DROP_REASONS):  # a list: the reason may be one too
            known = ', '.join(DROP_REASONS)
            place = f'{path}: dropped_points[{index}]'
            raise ValueError(f'{place}: expected a reason of {known}, got {entry["reason"]!r:.60}')
    try:
        _check_entries(*(content[part] for part in _PARTS))
        _check_runs(content['images'], content['annotations'])
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return content


def merge(*paths: str | Path) -> Entry:
    """Join several pseudo label jsons, for example of parts of a dataset.

    An image can be listed in several files, but the entry of a point is in only one of them.

    Returns:
        dict: see :func:`assemble`; ``info`` is copied from the first file, plus ``merged_from``.

    Raises:
        ValueError: there are no files, categories differ, an image id or file name has two
            meanings, or a point has two entries; the message names the two files.
    """
    return merge_contents([(path, load(path)) for path in paths])


def merge_contents(parts: Sequence[tuple[str | Path, Entry]]) -> Entry:
    """Join the contents of several pseudo label jsons; see :func:`merge`.

    Args:
        parts: a name for the messages, usually the path, and the content, for each file.
    """
    if not parts:
        raise ValueError('expected at least one file to merge, got none')
    paths = [path for path, _ in parts]
    contents = [content for _, content in parts]
    images: dict[int, Entry] = {}
    seen: dict[tuple[Any, ...], Any] = {}
    for path, content in parts:
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


def check_same(path: str | Path, labels: Entry, start_path: str | Path, start: Entry) -> None:
    """Check that two files are of the same images and categories, by their ids and names.

    Args:
        path: name of ``labels``, for the message.
        labels: content of a pseudo label json.
        start_path: name of ``start``.
        start: content of another; it may have more images and categories.

    Raises:
        ValueError: an image or category of ``labels`` is not in ``start``.
    """
    for part, keys in (('categories', ('id', 'name')), ('images', ('id', 'file_name'))):
        first, other = (
            {tuple(entry[key] for key in keys) for entry in content[part]}
            for content in (labels, start)
        )
        if missing := sorted(first - other):
            raise ValueError(
                f'{start_path}: expected the {part} of {path}, got none with {keys[1]} and id '
                f'{missing[0][1]!r}, {missing[0][0]}'
            )


def category_ids_of(categories: Sequence[Entry], classes: Sequence[str] | None) -> list[int]:
    """Return the COCO category ids in the order of the labels.

    Args:
        categories: ``categories`` of a COCO json.
        classes: names of the labels ``0..K-1``; None: the categories in their order.

    Raises:
        ValueError: a class has no category.
    """
    if classes is None:
        return [category['id'] for category in categories]
    id_of_name = {category['name']: category['id'] for category in categories}
    missing = [name for name in classes if name not in id_of_name]
    if missing:
        raise ValueError(f'expected a category for each class, got none for {missing}')
    return [id_of_name[name] for name in classes]


def require_integers(
    path: str | Path, part: str, entries: Sequence[Entry], keys: Sequence[str], *, start: int = 0
) -> None:
    """Check that ids are whole numbers.

    Args:
        path: the file, for messages.
        part: name of the list.
        entries: entries of the list, from position ``start`` on.
        keys: their ids.
        start: position in the list of the first entry, from 0.

    Raises:
        ValueError: for any other value; names the file, the place and the key.
    """
    for index, entry in enumerate(entries, start):
        for key in keys:
            if not is_integer(entry[key]):
                raise ValueError(
                    f'{path}: {part}[{index}]: expected {key} to be a whole number, '
                    f'got {entry[key]!r:.60}'
                )


def _check_numbers(entry: Entry, *, where: str) -> None:
    """Check the numbers of an annotation, except for its ids and its point."""
    bbox = entry['bbox']
    if not is_box(bbox):
        raise ValueError(f'{where}: expected a bbox of four numbers, got {bbox!r:.60}')
    for key in _NUMBERS:
        if key in entry and not is_finite_number(entry[key]):
            raise ValueError(f'{where}: expected {key} to be a number, got {entry[key]!r:.60}')


def _check_runs(images: list[Entry], annotations: list[Entry]) -> None:
    """Check that the runs of the masks, and of their candidates, fill their images."""
    image_of_id = {image['id']: image for image in images}
    owners, masks = [], []
    for ann in annotations:
        parts = [ann, *ann.get('candidates', ())]
        owners += [ann] * len(parts)
        masks += [part['segmentation'] for part in parts]
    sizes = [image_of_id[ann['image_id']] for ann in owners]
    broken = first_broken(masks, [(image['height'], image['width']) for image in sizes])
    if broken is not None:
        raise ValueError(f'{_place_of(owners[broken[0]], image_of_id)}: {broken[1]}')


def _place_of(ann: Entry, image_of_id: Mapping[int, Entry]) -> str:
    image_id = ann['image_id']
    return f'image {image_id} ({image_of_id[image_id]["file_name"]}), point {ann["point_id"]}'


def _check_entries(
    images: list[Entry], categories: list[Entry], annotations: list[Entry], dropped: list[Entry]
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
        where = _place_of(ann, image_of_id)
        size, mask = [image['height'], image['width']], ann['segmentation']
        _check_rle(where, mask, size)
        candidates = ann.get('candidates', ())
        if not isinstance(candidates, list | tuple):
            raise ValueError(f'{where}: expected a list of candidates, got {candidates!r:.60}')
        for number, candidate in enumerate(candidates):
            if not isinstance(candidate, dict) or not {'segmentation', 'score'} <= set(candidate):
                raise ValueError(
                    f"{where}: expected candidates with 'segmentation' and 'score', got "
                    f'{candidate!r:.60}'
                )
            _check_rle(f'{where}, candidate {number}', candidate['segmentation'], size)


def _check_rle(where: str, mask: Any, size: list[int]) -> None:
    """Check that a mask is compressed RLE of a size, as mmdet reads it."""
    if not (isinstance(mask, dict) and {'size', 'counts'} <= set(mask)):
        kind = 'polygons' if isinstance(mask, list) else f'{mask!r:.60}'
        raise ValueError(f"{where}: expected RLE with 'size' and 'counts', got {kind}")
    if mask['size'] != size:
        raise ValueError(
            f'{where}: expected a mask of the image size {size}, got {mask["size"]!r:.60}'
        )
    if not isinstance(mask['counts'], str):
        raise ValueError(f'{where}: expected RLE counts as str, mmdet ignores all others')


def _image_and_point(entry: Entry) -> tuple[int, int]:
    return entry['image_id'], entry['point_id']


def _rows(
    instances: Mapping[str, Any], keys: Sequence[str], image_id: int
) -> Iterable[tuple[Any, ...]]:
    """Return the rows of an ``InstanceData`` or dict, one per entry; none if it is empty."""
    columns = [to_numpy(instances[key]) for key in keys] if len(instances) else []
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise ValueError(
            f'image {image_id}: expected equally many {", ".join(keys)}, got {lengths}'
        )
    return zip(*columns)


def _point_entry(
    label: int,
    point: Sequence[float],
    point_id: int,
    *,
    image_id: int,
    category_ids: Sequence[int],
) -> Entry:
    label = int(label)
    if not 0 <= label < len(category_ids):
        raise ValueError(
            f'image {image_id}, point {int(point_id)}: expected a label in '
            f'0..{len(category_ids) - 1}, got {label}'
        )
    return {
        'image_id': image_id,
        'category_id': int(category_ids[label]),
        'point': [_short_float(coordinate) for coordinate in point],
        'point_id': int(point_id),
    }


def _check_each_point_once(
    image_id: int, expected: Sequence[int], entries: Sequence[Mapping[str, Any]]
) -> None:
    got = sorted(entry['point_id'] for entry in entries)
    if got != sorted(expected):
        raise ValueError(
            f'image {image_id}: expected one instance or one dropped point for each of the points '
            f'{sorted(expected)}, got {got}'
        )


def to_numpy(values: Any) -> Any:
    """Return a tensor or a sequence as an array on the CPU."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _short_float(value: Any) -> float:
    """Return the shortest decimal that reads back as the same float: float32 12.3 -> 12.3."""
    return float(str(value))
