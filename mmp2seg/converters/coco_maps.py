"""Make true semantic maps from a COCO instance json, for table 9 or to degrade to weak maps."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.converters.point_json import no_point_message
from mmp2seg.datasets.coco_content import (
    annotation_place,
    category_labels,
    check_coco_content,
    check_image_sizes,
    ordered_class_names,
    split_categories,
)
from mmp2seg.files.folders import complete_folder
from mmp2seg.files.image_folder import names_a_file
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.files.json_reading import read_json_object
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.rle import decode_rle, segmentation_to_rle


@dataclasses.dataclass(frozen=True)
class CocoMapsReport:
    """Counts of a conversion.

    Attributes:
        num_maps: maps written, one per image, including images without objects.
        num_objects: objects drawn, by class name, in the order of their map values 1..K.
        num_crowds: crowd annotations, which became 255 (ignore).
        num_hidden: objects without a visible pixel, because smaller objects cover them or their
            mask is empty.
        refused: annotations left out because they have no usable mask, one line each, with place
            and reason.
        notes: a line for each category that is no class.
    """

    num_maps: int
    num_objects: dict[str, int]
    num_crowds: int
    num_hidden: int
    refused: tuple[str, ...]
    notes: tuple[str, ...] = ()


def coco_semantic_maps(
    json_path: str | Path,
    out_dir: str | Path,
    *,
    classes: Sequence[str] | None = None,
    skip_refused: bool = False,
    allow_empty: bool = False,
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> CocoMapsReport:
    """Write a palette PNG per image of a COCO instance json: 0 background, k + 1 = class k.

    A map has the name and subfolder of its image. Objects are drawn from the largest to the
    smallest, on top of crowd annotations, which become 255 (ignore). The whole json is read first;
    masks are decoded image by image.

    Args:
        json_path: COCO json; its images need ``height`` and ``width``, its annotations
            ``segmentation`` (polygons or RLE).
        out_dir: folder to create; it is written atomically.
        classes: names of the K classes, in order; objects of other categories are background. None
            takes all categories in the order of their ids, as ``PointCocoDataset`` does: COCO's 80
            thing classes, with ids from 1 to 90, become 1..80.
        skip_refused: leave out annotations without a usable mask and report them, instead of
            raising an error.
        allow_empty: write maps without a single object.
        overwrite: replace a folder that is not empty.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: there is no such json.
        ValueError: the file is not a COCO json; there are more than 254 classes, or a class that
            the json lacks; an image name leads out of the image folder, or two names have the same
            stem; or, without ``skip_refused``, a segmentation is missing, broken or of another
            size. The message names the file and the place.
        FileExistsError: ``out_dir`` is not empty and ``overwrite`` is False.
    """
    content = read_json_object(json_path, lists=('images', 'categories', 'annotations'))
    check_coco_content(json_path, content, image_keys=('height', 'width'))
    check_image_sizes(json_path, content['images'])
    notes: list[str] = []
    if classes is None:
        content['categories'], notes = split_categories(content)
    names = ordered_class_names(content['categories']) if classes is None else list(classes)
    if not 0 < len(names) < IGNORE:
        raise ValueError(f'{json_path}: expected 1..{IGNORE - 1} classes, got {len(names)}')
    labels = category_labels(json_path, content['categories'], classes=names)
    map_names = _map_names(json_path, content['images'])
    annotations_of = defaultdict(list)
    for index, annotation in enumerate(content.pop('annotations')):
        if annotation['category_id'] in labels:
            annotations_of[annotation['image_id']].append((index, annotation))
    counts = np.zeros(len(names) + 1, np.int64)
    num_crowds = num_hidden = 0
    refused: list[str] = []
    with complete_folder(out_dir, overwrite=overwrite, inputs=[json_path]) as folder:
        for image, map_name in track(list(zip(content['images'], map_names, strict=True))):
            annotations = annotations_of.pop(image['id'], [])
            masks, wrong = _read_masks(json_path, annotations, image, labels)
            if wrong and not skip_refused:
                raise ValueError(f'{wrong[0]} (--skip-refused leaves it out)')
            crowds = [rle for rle, value in masks if value == IGNORE]
            objects = [(rle, value) for rle, value in masks if value != IGNORE]
            values = [value for _, value in objects]
            semantic_map, hidden = draw_semantic_map(
                [rle for rle, _ in objects],
                values,
                crowds=crowds,
                size=(image['height'], image['width']),
            )
            write_palette_png(folder / map_name, semantic_map)
            counts += np.bincount(np.array(values, np.int64), minlength=len(counts))
            num_crowds, num_hidden = num_crowds + len(crowds), num_hidden + hidden
            refused += wrong
        if not counts.any() and not num_crowds and not allow_empty:
            raise ValueError(
                no_point_message(str(json_path), len(map_names), refused, expected='an object')
            )
    num_objects = dict(zip(names, counts[1:].tolist(), strict=True))
    return CocoMapsReport(
        len(map_names), num_objects, num_crowds, num_hidden, tuple(refused), tuple(notes)
    )


def draw_semantic_map(
    rles: Sequence[dict], values: Sequence[int], *, crowds: Sequence[dict], size: tuple[int, int]
) -> tuple[np.ndarray, int]:
    """Draw the semantic map of objects, the smallest on top; of equal areas, the later one on top.

    Args:
        rles: compressed RLE of N objects.
        values: (N,) map values of the objects, 1..254.
        crowds: compressed RLE of crowds, whose pixels become ignore outside the objects.
        size: (H, W) of all masks.

    Returns:
        (H, W) uint8 map with 0 for background, and the number of objects without a visible pixel.
    """
    areas = mask_utils.area(list(rles)) if rles else np.zeros(0, np.uint32)
    order = np.argsort(-areas.astype(np.int64), kind='stable')
    # owner of each pixel: 0 = none, 1 = a crowd, i + 2 = object i
    owners = np.zeros(size, np.uint16)
    for rle in crowds:
        _draw(owners, rle, 1)
    for index in order:
        _draw(owners, rles[index], int(index) + 2)
    num_visible = np.count_nonzero(np.bincount(owners.ravel(), minlength=2)[2:])
    return np.array([0, IGNORE, *values], np.uint8)[owners], len(rles) - int(num_visible)


def _draw(owners: np.ndarray, rle: dict, owner: int) -> None:
    """Set the pixels of a mask to a number, in place; touch only its box, as masks are small."""
    x, y, width, height = mask_utils.toBbox(rle).astype(int)
    box = slice(y, y + height), slice(x, x + width)
    owners[box][decode_rle(rle)[box]] = owner


def _read_masks(
    json_path: str | Path, annotations: Iterable[tuple[int, dict]], image: dict, labels: dict
) -> tuple[list[tuple[dict, int]], list[str]]:
    """Return an image's masks as (RLE, map value), 255 for crowds, and a line per bad mask.

    Args:
        json_path: path of the json, for error messages.
        annotations: annotations of the image, with their positions in the file.
        image: entry of the image in the json.
        labels: class by category id.
    """
    masks, wrong = [], []
    for index, annotation in annotations:
        segmentation = annotation.get('segmentation')
        try:
            if not isinstance(segmentation, list | dict):
                raise ValueError('expected a segmentation')
            rle = segmentation_to_rle(segmentation, image['height'], image['width'])
        except Exception as error:  # pycocotools raises different exceptions for broken masks
            where = annotation_place(json_path, index, annotation)
            wrong.append(f'{where}: {error}, got segmentation {segmentation!r:.60}')
            continue
        is_crowd = annotation.get('iscrowd', 0)
        masks.append((rle, IGNORE if is_crowd else labels[annotation['category_id']] + 1))
    return masks, wrong


def _map_names(json_path: str | Path, images: Sequence[dict]) -> list[PurePosixPath]:
    """Return the file of each image's map, relative to the output folder."""
    place_of: dict[PurePosixPath, str] = {}
    for index, image in enumerate(images):
        where = f'{json_path}: images[{index}]'
        name = PurePosixPath(image['file_name'])
        if not names_a_file(name):
            shown = f'{str(name)!r:.200}'
            raise ValueError(f'{where}: expected a file in the image folder, got {shown}')
        name = name.with_suffix('.png')
        if name in place_of:
            raise ValueError(f'{where}: its map {name} duplicates the map of {place_of[name]}')
        place_of[name] = where
    return list(place_of)
