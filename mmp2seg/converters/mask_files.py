"""Read masks, for example from SAM, and match them with the points of a point json.

The masks are in a folder or a json file. In all layouts, an annotation is an object with

- ``segmentation``: COCO's RLE, compressed or not, or polygons, for the size of the image;
- ``point_id`` (optional): id of the annotation of the point json that the mask belongs to. Without
  it, any point inside the mask can be assigned the mask;
- ``category_id`` (optional): only points of this category can be assigned the mask. It is matched
  by name if the file has ``categories``, otherwise it is a category id of the point json;
- ``score``, or else ``predicted_iou``, or else ``stability_score`` (the last two are SAM's): higher
  is better. The default is 1.

Other keys, such as SAM's ``point_coords``, are ignored. The layouts:

1. a file with an object ``{"images": [{"id", "file_name"}, ...], "annotations": [...],
   "categories": [{"id", "name"}, ...]}``, where ``annotations`` have an ``image_id``. Images are
   matched with the point json by ``file_name``; ``categories`` is optional;
2. a file with a list of annotations, each with an ``image_id`` of the point json (COCO results);
3. a folder with ``<image name>.json`` for each image, in the same subfolders: a list of annotations
   as written by SAM's ``scripts/amg.py --convert-to-rle``, or an object with such a list under
   ``annotations``, as in the dataset SA-1B. An image without a file has no masks.

SAM's format: scripts/amg.py of github.com/facebookresearch/segment-anything.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmp2seg.converters.mask_assignment import ScoredMask
from mmp2seg.converters.point_json import read_point_json
from mmp2seg.datasets.coco_content import check_coco_content, split_categories
from mmp2seg.files.image_folder import names_a_file, relative_stem
from mmp2seg.files.json_reading import (
    is_finite_number,
    read_json,
    read_json_object,
    require_keys,
)
from mmp2seg.ops.image_edge import onto_last_pixel
from mmp2seg.ops.rle import segmentation_to_rle

_SCORES = ('score', 'predicted_iou', 'stability_score')


class PointImage(NamedTuple):
    """An image of a point json with its N points, in the order of the file.

    Attributes:
        id: id of the image in the json.
        file_name: path relative to the image folder.
        height: height in pixels.
        width: width in pixels.
        points_xy: (N, 2) float64 continuous (x, y).
        labels: (N,) int64 classes 0..K-1, in the order of the category ids.
        point_ids: annotation id -> index of the point.
        places: N descriptions for messages: place in the file, class and image.
    """

    id: int
    file_name: str
    height: int
    width: int
    points_xy: np.ndarray
    labels: np.ndarray
    point_ids: dict[int, int]
    places: list[str]


def read_point_images(path: str | Path) -> list[PointImage]:
    """Read the images of a point json, with the ids of images and points.

    Raises:
        FileNotFoundError, ValueError: see :func:`~mmp2seg.converters.point_json.read_point_json`.
            Also for an annotation without an id, or with that of another one, and for a name that
            leads out of the image folder.
    """
    sources, classes = read_point_json(path)
    label_of = {name: label for label, name in enumerate(classes)}
    images = []
    known: set[int | str] = set()
    for source in sources:
        if not names_a_file(source.file_name):
            shown = f'{source.file_name!r:.200}'
            raise ValueError(f'{source.where}: expected a file in the image folder, got {shown}')
        points = source.points
        for point in points:
            if point.point_id is None:
                raise ValueError(f'{point.where}: expected an annotation with an id, got none')
            if not isinstance(point.point_id, int | str) or point.point_id in known:
                raise ValueError(
                    f'{point.where}: expected an id of its own, int or str, got '
                    f'{point.point_id!r:.60}'
                )
            known.add(point.point_id)
        images.append(
            PointImage(
                source.image_id,
                source.file_name,
                source.height,
                source.width,
                onto_last_pixel([(p.x, p.y) for p in points], source.height, source.width),
                np.array([label_of[point.label] for point in points], np.int64),
                {point.point_id: index for index, point in enumerate(points)},
                [f'{point.where}: {point.label} of {source.file_name}' for point in points],
            )
        )
    return images


class MaskSource:
    """The masks of each image; a folder is read file by file.

    Attributes:
        num_other: number of masks in a file whose image is not in the point json.
    """

    def __init__(
        self,
        *,
        folder: Path | None,
        annotations: Mapping[int, Sequence[tuple[str, Any]]],
        label_of: Mapping[int, int],
        num_other: int = 0,
    ) -> None:
        self._folder = folder
        self._annotations = annotations
        self._label_of = label_of
        self.num_other = num_other

    def masks_of(self, image: PointImage) -> list[ScoredMask]:
        """Return the masks of an image; the list may be empty.

        Raises:
            ValueError: a mask is broken, or a point or category is unknown; the message names file
                and place.
        """
        if self._folder is None:
            annotations = self._annotations.get(image.id, ())
        else:
            annotations = _read_image_file(self._folder, image)
        return [_scored_mask(ann, image, self._label_of, where) for where, ann in annotations]


def open_masks(
    path: str | Path, images: Sequence[PointImage], *, points_path: str | Path
) -> MaskSource:
    """Open a file or folder of masks in one of the layouts of this module's docstring.

    Args:
        path: the file or folder.
        images: images of the point json.
        points_path: the point json; its categories are used for mask files without categories.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a file has another layout; the message names the file and the place.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such file or folder')
    points = read_json_object(points_path, lists=('categories', 'annotations'))
    own = sorted(split_categories(points)[0], key=lambda entry: entry['id'])
    if path.is_dir():
        if not any(_image_file(path, image).is_file() for image in images):
            name = f'{relative_stem(images[0].file_name)}.json' if images else '<image name>.json'
            raise ValueError(f'{path}: expected a file per image, such as {name}, got none')
        return MaskSource(
            folder=path,
            annotations={},
            label_of={entry['id']: label for label, entry in enumerate(own)},
        )
    content = _read_json(path)
    label_of, image_ids = _match(content, images, own, path)
    part = 'annotations' if isinstance(content, dict) else ''
    entries = content[part] if part else content
    require_keys(path, part, entries, ('image_id',))
    annotations: dict[int, list[tuple[str, Any]]] = defaultdict(list)
    num_other = 0
    for index, annotation in enumerate(entries):
        where, image_id = f'{path}: {part}[{index}]', annotation['image_id']
        if not isinstance(image_id, (int, str)):
            raise ValueError(f'{where}: expected an image_id, got {image_id!r:.60}')
        if image_id in image_ids:
            annotations[image_ids[image_id]].append((where, annotation))
        else:
            num_other += 1
    if num_other and not annotations:
        raise ValueError(f'{path}: expected masks of the images of {points_path}, got none')
    return MaskSource(folder=None, annotations=annotations, label_of=label_of, num_other=num_other)


def _match(
    content: dict | list, images: Sequence[PointImage], own: Sequence[dict], path: Path
) -> tuple[dict[int, int], dict[int, int]]:
    """Map the ids of a mask file: category id -> label, image id -> image id of the point json."""
    label_of = {entry['id']: label for label, entry in enumerate(own)}
    if isinstance(content, list):
        return label_of, {image.id: image.id for image in images}
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(content.get(key, [] if key == 'categories' else None), list):
            raise ValueError(f'{path}: expected a list {key!r}, got {content.get(key)!r:.60}')
    check_coco_content(path, {'categories': [], **content, 'annotations': []})
    if 'categories' in content:
        label_of_name = {entry['name']: label for label, entry in enumerate(own)}
        # -1: a class without points, whose masks are not assigned to any point
        label_of = {
            entry['id']: label_of_name.get(entry['name'], -1) for entry in content['categories']
        }
    id_of_name = {image.file_name: image.id for image in images}
    pairs = [(entry['id'], id_of_name.get(entry['file_name'])) for entry in content['images']]
    return label_of, {theirs: ours for theirs, ours in pairs if ours is not None}


def _image_file(folder: Path, image: PointImage) -> Path:
    return folder / f'{relative_stem(image.file_name)}.json'


def _read_image_file(folder: Path, image: PointImage) -> list[tuple[str, Any]]:
    """Return the annotations of an image's file with their places; none without a file."""
    path = _image_file(folder, image)
    if not path.is_file():
        return []
    content = _read_json(path)
    part = 'annotations' if isinstance(content, dict) else ''
    entries = content.get('annotations') if part else content
    if not isinstance(entries, list):
        raise ValueError(f"{path}: expected a list 'annotations', got {entries!r:.60}")
    return [(f'{path}: {part}[{index}]', entry) for index, entry in enumerate(entries)]


def _read_json(path: Path) -> dict | list:
    """Read a json object or list."""
    content = read_json(path)
    if not isinstance(content, (dict, list)):
        raise ValueError(f'{path}: expected an object or a list, got {content!r:.60}')
    return content


def _scored_mask(
    annotation: Any, image: PointImage, label_of: Mapping[int, int], where: str
) -> ScoredMask:
    if not isinstance(annotation, dict) or 'segmentation' not in annotation:
        raise ValueError(f"{where}: expected an object with 'segmentation', got {annotation!r:.60}")
    point = _look_up(annotation, 'point_id', image.point_ids, where)
    label = _look_up(annotation, 'category_id', label_of, where)
    score = next((annotation[key] for key in _SCORES if key in annotation), 1.0)
    if not is_finite_number(score):
        raise ValueError(f'{where}: expected a finite score, got {score!r:.60}')
    rle = _checked_rle(annotation['segmentation'], image, where)
    return ScoredMask(rle, float(score), point=point, label=label)


def _look_up(annotation: dict, key: str, known: Mapping[int, int], where: str) -> int | None:
    """Look up an optional id of an annotation; return None if it is absent."""
    value = annotation.get(key)
    if value is None:
        return None
    if not isinstance(value, int) or value not in known:
        raise ValueError(f'{where}: unknown {key} {value!r:.60}')
    return known[value]


def _checked_rle(segmentation: Any, image: PointImage, where: str) -> dict:
    """Return the RLE of a mask; error messages begin with its place."""
    try:
        return segmentation_to_rle(segmentation, image.height, image.width)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f'{where}: {error}') from error
