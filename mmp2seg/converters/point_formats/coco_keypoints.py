"""Read and write points in a COCO keypoints json.

The format (https://cocodataset.org/#format-data): an annotation's ``keypoints`` are ``x1, y1,
v1, x2, ...``. x and y are pixel indices from 0. The visibility v is 0 for not labelled, 1 for
labelled but hidden, 2 for visible. ``num_keypoints`` counts the keypoints with v > 0. It is 0 for
crowds and small objects. CVAT's "COCO Keypoints 1.0" has skeletons, in continuous coordinates;
plain points are not in it.
"""

from collections.abc import Sequence
from pathlib import Path

from mmp2seg.converters.point_formats.reading import (
    check_choice,
    collected,
    locate_images,
    written_classes,
)
from mmp2seg.converters.point_json import SourceImage, SourcePoint, coco_source_images
from mmp2seg.datasets.coco_content import check_coco_content
from mmp2seg.datasets.point_reading import KEYPOINT_INDICES, keypoint_shift, number_pair
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.json_reading import is_finite_number, read_json_object

_PIXEL_CENTER = 0.5


def read(
    path: str | Path,
    *,
    image_dir: str | Path | None = None,
    all_keypoints: bool = False,
    unlabelled: str = 'error',
    pixel_indices: bool | None = None,
    skip_refused: bool = False,
    allow_empty: bool = False,
) -> list[SourceImage]:
    """Read the first labelled keypoint of each annotation, as ``PointCocoDataset`` does.

    Crowd annotations are left out.

    Args:
        path: the json.
        image_dir: folder of the images; if given, their sizes are checked.
        all_keypoints: read all labelled keypoints, for files in which each keypoint is an object.
        unlabelled: what to do with annotations without a labelled keypoint: 'error' or 'skip'.
        pixel_indices: coordinates are pixel indices, as in COCO, so .5 is added. False: coordinates
            are continuous. None: see :func:`mmp2seg.datasets.point_reading.keypoint_shift`.
        skip_refused: leave out what cannot be placed, and report it, instead of raising an error.
        allow_empty: read a file without annotations.

    Raises:
        FileNotFoundError: there is no such file, or an image is missing in ``image_dir``.
        ValueError: the file is malformed, or an id or a name is repeated; the message names the
            file and the place. Also for a file without annotations.
    """
    check_choice('unlabelled', unlabelled, ('error', 'skip'))
    content = read_json_object(path, lists=('images', 'categories', 'annotations'))
    if not content['annotations'] and not allow_empty:
        raise ValueError(
            f'{path}: expected annotations with keypoints, got none: CVAT writes plain points only '
            "to 'CVAT for images 1.1', export that (--allow-empty goes on without)"
        )
    check_coco_content(path, content, image_keys=('height', 'width'))
    points, left_out = _read_annotations(
        path,
        content,
        all_keypoints=all_keypoints,
        unlabelled=unlabelled,
        shift=_shift(content, pixel_indices),
        skip_refused=skip_refused,
    )
    images = coco_source_images(path, content['images'], points, left_out=left_out)
    return locate_images(images, image_dir=image_dir, skip_refused=skip_refused)


def write(
    images: Sequence[SourceImage],
    path: str | Path,
    *,
    classes: Sequence[str] | None = None,
    pixel_indices: bool = True,
) -> None:
    """Write one annotation with one visible keypoint for each point.

    The box of an annotation has size 0 and is at the point. Coordinates are written with all
    digits; with ``pixel_indices``, subtracting .5 may round them.

    Args:
        images: the images with their points.
        path: the file to write; it is written atomically.
        classes: names of the categories 1..K; None = the sorted classes of the points. The category
            ``background`` is added for background clicks.
        pixel_indices: see :func:`read`.

    Raises:
        ValueError: a point's class is not among ``classes``.
    """
    classes = written_classes(images, classes)
    category_ids = {name: number for number, name in enumerate(classes, start=1)}
    shift = _PIXEL_CENTER if pixel_indices else 0.0
    annotations: list[dict] = []
    for image_id, image in enumerate(images, start=1):
        for point in image.all_points:
            if point.label not in category_ids:
                raise ValueError(f'{point.where}: class {point.label!r} is not one of {classes}')
            x, y = float(point.x) - shift, float(point.y) - shift
            ids = dict(id=len(annotations) + 1, image_id=image_id)
            annotations.append(
                _annotation(x, y) | ids | dict(category_id=category_ids[point.label])
            )
    content = dict(
        info=dict(description=KEYPOINT_INDICES if pixel_indices else 'points, continuous'),
        images=[
            dict(id=image_id, file_name=image.file_name, height=image.height, width=image.width)
            for image_id, image in enumerate(images, start=1)
        ],
        categories=[
            dict(id=number, name=name, keypoints=['point'], skeleton=[])
            for name, number in category_ids.items()
        ],
        annotations=annotations,
    )
    write_json(path, content)


def _shift(content: dict, pixel_indices: bool | None) -> float:
    if pixel_indices is None:
        return keypoint_shift(content)
    return _PIXEL_CENTER if pixel_indices else 0.0


def _annotation(x: float, y: float) -> dict:
    """Return the keypoint entries of an annotation, for a point in the file's coordinates."""
    return dict(keypoints=[x, y, 2], num_keypoints=1, bbox=[x, y, 0.0, 0.0], area=0.0, iscrowd=0)


def _read_annotations(
    path: str | Path,
    content: dict,
    *,
    all_keypoints: bool,
    unlabelled: str,
    shift: float,
    skip_refused: bool,
) -> tuple[dict[int, list[SourcePoint]], dict[int, list[str]]]:
    """Return, by image id, the points and a line for each annotation that is left out."""
    names = {category['id']: category['name'] for category in content['categories']}
    points: dict = {image['id']: [] for image in content['images']}
    left_out: dict = {image['id']: [] for image in content['images']}
    for index, annotation in enumerate(content['annotations']):
        where = f'{path}: annotations[{index}]'
        image_id, label = annotation['image_id'], names[annotation['category_id']]
        if annotation.get('iscrowd', 0):
            left_out[image_id].append(f'{where}: a crowd')
            continue
        pairs: list[tuple[float, float]] | None = None
        with collected(left_out[image_id], skip=skip_refused):
            pairs = _labelled(annotation.get('keypoints'), where=where)
        if pairs is None:
            continue
        if not pairs and unlabelled == 'error':
            raise ValueError(
                f'{where}: expected a labelled keypoint (v > 0), got none '
                '(--unlabelled skip leaves it out)'
            )
        if not pairs:
            left_out[image_id].append(f'{where}: no labelled keypoint')
        for x, y in pairs if all_keypoints else pairs[:1]:
            points[image_id].append(SourcePoint(x + shift, y + shift, label, where))
    return points, left_out


def _labelled(keypoints: object, *, where: str) -> list[tuple[float, float]]:
    """Return the coordinates of the keypoints with v > 0."""
    if keypoints is None:
        return []
    if not isinstance(keypoints, list) or len(keypoints) % 3:
        raise ValueError(f'{where}: expected keypoints x, y, v, ..., got {keypoints!r:.60}')
    pairs = []
    for start in range(0, len(keypoints), 3):
        x, y, visibility = keypoints[start : start + 3]
        if not is_finite_number(visibility):
            raise ValueError(f'{where}: expected a visibility of 0, 1 or 2, got {visibility!r:.60}')
        if visibility > 0:
            pairs.append(number_pair([x, y], where=where))
    return pairs
