"""Replace the values in a folder of semantic maps.

This converts maps with COCO's category ids (1 to 90, with gaps, for 80 thing classes), or with any
other numbering, to 0 background, 1..K classes, 255 ignore.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from mmp2seg.datasets.coco_content import (
    category_labels,
    check_coco_content,
    split_categories,
)
from mmp2seg.files.folders import complete_folder
from mmp2seg.files.image_folder import find_png_maps
from mmp2seg.files.index_png import read_index_png, write_palette_png
from mmp2seg.files.json_reading import is_integer, read_json_object, require_keys
from mmp2seg.files.text_reading import read_text
from mmp2seg.ops.components import IGNORE


@dataclasses.dataclass(frozen=True)
class RemapReport:
    """Counts of a conversion.

    Attributes:
        num_maps: number of maps written.
        num_pixels: number of pixels by old value, for the values that occur, ascending.
    """

    num_maps: int
    num_pixels: dict[int, int]


def remap_maps(
    source_dir: str | Path,
    out_dir: str | Path,
    *,
    mapping: Mapping[int, int],
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> RemapReport:
    """Write each map of a folder and its subfolders with new values, as a palette PNG.

    Args:
        source_dir: folder of 8-bit palette or grey PNG maps.
        out_dir: folder to create, with maps of the same names and the suffix ``.png``; it is
            written atomically.
        mapping: new values by old value, both 0..255. 0 and 255 stay unchanged unless they are in
            the mapping; any other missing value is an error.
        overwrite: replace a folder that is not empty.
        track: function that wraps the list of maps, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the folder has no map, or a map is broken or has a value that is not in
            ``mapping``; the message names the file and the value.
        FileExistsError: ``out_dir`` is not empty and ``overwrite`` is False.
    """
    maps = find_png_maps(source_dir)
    mapping = {0: 0, IGNORE: IGNORE, **mapping}
    table = np.zeros(256, np.uint8)
    table[list(mapping)] = list(mapping.values())
    num_pixels = np.zeros(256, np.int64)
    with complete_folder(out_dir, overwrite=overwrite, inputs=[source_dir]) as folder:
        for name, path in track(list(maps.items())):
            index_map = read_index_png(path)
            counts = np.bincount(index_map.ravel(), minlength=256)
            for value in np.flatnonzero(counts):
                if int(value) not in mapping:
                    raise ValueError(f'{path}: expected a value of the mapping, got {value}')
            num_pixels += counts
            write_palette_png(folder / f'{name}.png', table[index_map])
    occurring = np.flatnonzero(num_pixels)
    return RemapReport(len(maps), {int(value): int(num_pixels[value]) for value in occurring})


def read_category_mapping(json_path: str | Path) -> dict[int, int]:
    """Map the category ids of a COCO json to 1..K, in the order of the ids.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a json with categories, or their ids are not unique integers
            1..254.
    """
    content = read_json_object(json_path, lists=('categories',))
    categories = content['categories']
    check_coco_content(json_path, dict(images=[], categories=categories, annotations=[]))
    annotations = content.get('annotations')
    if isinstance(annotations, list):
        require_keys(json_path, 'annotations', annotations, ('category_id',))
        for index, annotation in enumerate(annotations):
            if not is_integer(annotation['category_id']):
                place = f'{json_path}: annotations[{index}]'
                raise ValueError(
                    f'{place}: expected category_id to be an integer, '
                    f'got {annotation["category_id"]!r:.60}'
                )
        categories, _ = split_categories(content)
    seen: set[int] = set()
    for index, category in enumerate(categories):
        number = category['id']
        if not is_integer(number) or not 0 < number < IGNORE or number in seen:
            raise ValueError(
                f'{json_path}: categories[{index}]: expected unique ids 1..{IGNORE - 1}, '
                f'got {number!r:.60}'
            )
        seen.add(number)
    return {number: label + 1 for number, label in category_labels(json_path, categories).items()}


def read_mapping_file(path: str | Path) -> dict[int, int]:
    """Read a mapping from a text file with one line ``from to`` per value; ``#`` starts a comment.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line is not a pair of integers 0..255, or it maps a value a second time (the
            message begins with ``path:line``); or the file has no mapping.
    """
    mapping: dict[int, int] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split('#')[0].split()
        if not words:
            continue
        try:
            old, new = (int(word) for word in words)
        except ValueError:
            old = new = -1
        if not (0 <= old <= IGNORE and 0 <= new <= IGNORE):
            raise ValueError(f"{path}:{number}: expected 'from to', both 0..255, got {line!r:.60}")
        if old in mapping:
            raise ValueError(f'{path}:{number}: {old} is already mapped to {mapping[old]}')
        mapping[old] = new
    if not mapping:
        raise ValueError(f"{path}: expected lines 'from to', got none")
    return mapping
