"""Write images with true masks as a folder like one of own photographs, with the truth beside it.

The frame, the points and the void pixels are those of :mod:`.truth_images`, so figures on the
folder compare with those of ``eval_point_segmentation.py``.
"""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

from pycocotools import mask as mask_utils

from mmp2seg.analysis.point_segmentation.truth_images import TruthImage, TruthImages
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.folders import complete_folder
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.visualization.panels import write_png

# Names in the folder.
IMAGES, POINTS, TRUTH, TRUE_MAPS = 'images', 'points.json', 'truth.json', 'true_maps'


@dataclasses.dataclass(frozen=True)
class OwnDataReport:
    """Counts of what was written."""

    num_images: int
    num_objects: int
    num_void: int
    """Objects and crowds that have no point and are not compared."""


def write_own_data(
    images: TruthImages,
    out_dir: str | Path,
    *,
    overwrite: bool = False,
    track: Callable[[list[int]], Iterable[int]] = iter,
) -> OwnDataReport:
    """Write the images, their points and their truth to a folder.

    The folder has ``images/*.png``; ``points.json`` and ``truth.json`` with the same images,
    categories ``1..K`` in the order of the classes, and annotations with the same ids; the truth
    adds the masks as RLE. ``true_maps/*.png``: 0 background, ``k + 1`` class ``k``, 255 void. What
    is void is in no json.

    Args:
        images: the images, whose points are those of their objects.
        out_dir: folder to create; it is written atomically.
        overwrite: replace a folder that is not empty.
        track: function that wraps the indices of the images, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: an image is missing.
        ValueError: an image or a mask is malformed; the message names the file.
        FileExistsError: ``out_dir`` is not empty and ``overwrite`` is False.
    """
    sizes, points, truth, num_void = [], [], [], 0
    with complete_folder(out_dir, overwrite=overwrite, inputs=images.files) as folder:
        (folder / TRUE_MAPS).mkdir()
        for index in track(list(range(len(images)))):
            image, name = images[index], f'{images.unique_stems[index]}.png'
            write_png(folder / IMAGES / name, image.image_rgb)
            write_palette_png(folder / TRUE_MAPS / name, image.semantic_map)
            height, width = image.semantic_map.shape
            sizes.append(dict(id=index + 1, file_name=name, height=height, width=width))
            objects = _annotations(image, image_id=index + 1, first_id=len(points) + 1)
            points += [_without(entry, 'segmentation', 'area', 'bbox') for entry in objects]
            truth += objects
            num_void += image.num_void
        categories = [dict(id=k, name=name) for k, name in enumerate(images.classes, start=1)]
        for name, annotations in ((POINTS, points), (TRUTH, truth)):
            content = dict(images=sizes, categories=categories, annotations=annotations)
            write_json(folder / name, content)
    return OwnDataReport(len(sizes), len(truth), num_void)


def _annotations(image: TruthImage, *, image_id: int, first_id: int) -> list[dict]:
    """Return the annotations of an image's objects, each with its point."""
    return [
        dict(
            id=first_id + index,
            image_id=image_id,
            category_id=int(label) + 1,
            iscrowd=0,
            point=image.points_xy[point].tolist(),
            bbox=mask_utils.toBbox(rle).tolist(),
            area=int(mask_utils.area(rle)),
            segmentation=rle,
        )
        for index, (label, point, rle) in enumerate(
            zip(image.object_labels, image.object_points, image.object_rles, strict=True)
        )
    ]


def _without(entry: dict, *keys: str) -> dict:
    return {key: value for key, value in entry.items() if key not in keys}
