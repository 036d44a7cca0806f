"""Convert masks of points, for example from SAM, to semantic maps.

For the accepted layouts of masks see :mod:`mmp2seg.converters.mask_files`.
"""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from mmp2seg.converters.mask_assignment import choose_masks, draw_masks
from mmp2seg.converters.mask_files import open_masks, read_point_images
from mmp2seg.converters.point_json import no_point_message
from mmp2seg.files.folders import complete_folder
from mmp2seg.files.image_folder import relative_stem
from mmp2seg.files.index_png import write_palette_png


@dataclasses.dataclass(frozen=True)
class PointMasksReport:
    """Counts of a conversion.

    Attributes:
        num_maps: number of maps written, one for each image of the point json.
        num_points: number of points in these images.
        num_masks: number of masks of these images.
        without_mask: points without a mask, one line each, with place, class and image.
        num_other: number of masks of images that are not in the point json.
        conflict_share: share of all pixels where masks of different classes overlap.
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
    allow_empty: bool = False,
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> PointMasksReport:
    """Write a semantic map as a palette PNG for each image of a point json.

    Each point gets its best mask, see :func:`mmp2seg.converters.mask_assignment.choose_masks`; the
    pixels of the mask get the point's class, and all other pixels are background. The classes have
    the values 1..K in the order of the point json's category ids.

    Args:
        masks_path: file or folder of masks, see :mod:`mmp2seg.converters.mask_files`.
        points_path: point json.
        out_dir: folder to create; it is written atomically.
        uncertain: value of pixels where masks of different classes overlap (255 = ignore); None =
            the class of the mask with the higher score.
        allow_empty: write maps if no point has a mask.
        overwrite: replace a folder that is not empty.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: a file or folder is missing.
        ValueError: a file has another layout, a mask is broken or of another size, or a point or
            category is unknown; the message names the file and the place.
        FileExistsError: ``out_dir`` is not empty and ``overwrite`` is False.
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
            write_palette_png(folder / f'{relative_stem(image.file_name)}.png', semantic_map)
            without_mask += [image.places[point] for point in np.flatnonzero(chosen < 0)]
            num_masks += len(masks)
            num_conflict += conflict
            num_pixels += semantic_map.size
        num_points = sum(len(image.labels) for image in images)
        if len(without_mask) == num_points and not allow_empty:
            raise ValueError(
                no_point_message(
                    str(masks_path), len(images), without_mask, expected='the mask of a point'
                )
            )
    return PointMasksReport(
        num_maps=len(images),
        num_points=num_points,
        num_masks=num_masks,
        without_mask=tuple(without_mask),
        num_other=source.num_other,
        conflict_share=num_conflict / max(num_pixels, 1),
    )
