"""Masks per point, such as SAM gives, made into semantic maps.

The layouts of masks that are read stand in :mod:`mmp2seg.converters.mask_files`.
"""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mmp2seg.converters.mask_assignment import choose_masks, draw_masks
from mmp2seg.converters.mask_files import open_masks, read_point_images
from mmp2seg.files.folders import complete_folder
from mmp2seg.files.image_folder import relative_stem
from mmp2seg.files.index_png import write_palette_png


@dataclasses.dataclass(frozen=True)
class PointMasksReport:
    """What was written.

    Attributes:
        num_maps: maps written, one for each image of the point json.
        num_points: points in them.
        num_masks: masks of these images.
        without_mask: points that no mask was taken by, a line each: place, class and image.
        num_other: masks of images that the point json lacks.
        conflict_share: share of the pixels where masks of different classes overlap.
    """

    num_maps: int
    num_points: int
    num_masks: int
    without_mask: tuple[str, ...]
    num_other: int
    conflict_share: float


def point_masks_to_maps(
    masks_path: str | Path,
    points_path: str | Path,
    out_dir: str | Path,
    *,
    uncertain: int | None = None,
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> PointMasksReport:
    """Write a semantic map, a palette PNG, for each image of a point json.

    Each point takes its best mask, see :func:`mmp2seg.converters.mask_assignment.choose_masks`;
    pixels of a mask get the point's class, all others background. Values are 1..K in the order of
    the point
    json's category ids.

    Args:
        masks_path: file or folder of masks, laid out as ``point_mask_files`` says.
        points_path: point json.
        out_dir: folder to make; it appears only when it is complete.
        uncertain: value of pixels where masks of different classes overlap (255 = ignore); None =
            the class of the mask of the higher score.
        overwrite: replace a folder that is not empty.
        track: wraps the list of images; a place for a progress bar.

    Raises:
        FileNotFoundError: for a missing file or folder.
        ValueError: for a file of another layout, a broken mask or one of another size, an unknown
            point or category; names the file and the place.
        FileExistsError: if ``out_dir`` is not empty and ``overwrite`` is not set.
    """
    images = read_point_images(points_path)
    source = open_masks(masks_path, images, points_path=points_path)
    without_mask: list[str] = []
    num_masks, num_pixels, num_conflict = 0, 0, 0
    with complete_folder(out_dir, overwrite=overwrite, inputs=[masks_path, points_path]) as folder:
        for image in track(images):
            masks = source.masks_of(image)
            chosen = choose_masks(masks, image.points_xy, image.labels)
            semantic_map, conflict = draw_masks(
                masks,
                chosen,
                image.labels,
                height=image.height,
                width=image.width,
                uncertain=uncertain,
            )
            path = folder / f'{relative_stem(image.file_name)}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            write_palette_png(path, semantic_map)
            without_mask += [image.places[point] for point in np.flatnonzero(chosen < 0)]
            num_masks += len(masks)
            num_conflict += conflict
            num_pixels += semantic_map.size
    return PointMasksReport(
        num_maps=len(images),
        num_points=sum(len(image.labels) for image in images),
        num_masks=num_masks,
        without_mask=tuple(without_mask),
        num_other=source.num_other,
        conflict_share=num_conflict / max(num_pixels, 1),
    )
