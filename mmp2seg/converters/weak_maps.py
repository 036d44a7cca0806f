"""Degrade a folder of true semantic maps into a folder of weak maps."""

import dataclasses
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from mmp2seg.converters.semantic_folder import ONLY_IGNORED
from mmp2seg.files.folders import complete_folder
from mmp2seg.files.image_folder import find_png_maps
from mmp2seg.files.index_png import read_index_png, write_palette_png
from mmp2seg.ops.degradation import degrade_semantic_map
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou, per_class_iou
from mmp2seg.ops.semantic_map import count_values, lacks_classes


@dataclasses.dataclass(frozen=True)
class WeakMapsReport:
    """Number and quality of the written maps."""

    num_images: int
    miou: float
    """Mean IoU over the classes that occur, including background, in 0..1."""
    class_iou: np.ndarray
    """(K + 1,) IoUs in 0..1, background first; nan for classes that do not occur."""


def degrade_folder(
    gt_dir: str | Path,
    out_dir: str | Path,
    *,
    num_classes: int,
    seed: int = 0,
    strength: float = 1.0,
    names: Sequence[str] | None = None,
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> WeakMapsReport:
    """Write a weak map as a palette PNG of the same name for each true map of a folder.

    The random stream of a map is derived from the seed and the map's name, so the result does not
    depend on other maps.

    Args:
        gt_dir: folder of PNG maps, 0 background, k + 1 = class k, 255 ignore.
        out_dir: folder to create; it is written atomically.
        num_classes: number K of classes without background.
        seed: seed of the degradation.
        strength: see ``degrade_semantic_map``.
        names: names of the maps to convert, without suffix; None = all maps of the folder.
        overwrite: replace a folder that is not empty.
        track: function that wraps the list of names, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: the folder or a named map does not exist.
        ValueError: there is no map, or a map is broken or has an invalid value; the message names
            the file. Also if no map has a pixel of a class, while some have 255.
        FileExistsError: ``out_dir`` is not empty and ``overwrite`` is False.
    """
    maps = find_png_maps(gt_dir, subfolders=False)
    names = list(maps if names is None else names)
    if not names:
        raise ValueError(f'{gt_dir}: expected names of maps, got none')
    num_pixels = np.zeros(num_classes + 2, np.int64)
    matrix = np.zeros((num_classes + 1, num_classes + 2), np.int64)
    with complete_folder(out_dir, overwrite=overwrite, inputs=[gt_dir]) as folder:
        for name in track(names):
            path = maps.get(name, Path(gt_dir) / f'{name}.png')
            semantic_map = read_index_png(path)
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            try:
                weak_map = degrade_semantic_map(
                    semantic_map, num_classes=num_classes, rng=rng, strength=strength
                )
            except ValueError as error:
                raise ValueError(f'{path}: {error}') from error
            num_pixels += count_values(semantic_map, num_classes=num_classes)
            write_palette_png(folder / f'{name}.png', weak_map)
            matrix += confusion_matrix(weak_map, semantic_map, num_classes=num_classes)
        if lacks_classes(num_pixels):
            raise ValueError(f'{gt_dir}: {ONLY_IGNORED}')
    return WeakMapsReport(len(names), mean_iou(matrix), per_class_iou(matrix))
