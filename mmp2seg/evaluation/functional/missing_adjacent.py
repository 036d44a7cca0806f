"""Missing rate of all objects, and rate of found ones among adjacent objects (table 8).

The paper gives no formula for the two rates. This module defines them:

- missing rate: share of the true objects with which no prediction of their class has an IoU of at
  least .5;
- adjacent rate: share of the adjacent objects that are found. An object is adjacent if another
  object of its class is at most 2 pixels away or across VOC's void band
  (:func:`~mmp2seg.ops.adjacency.touching_objects`).

Scores are not used, and a prediction may find several objects: one mask over two objects of the
same size, side by side, has an IoU of exactly .5 with both.
"""

from pathlib import Path

import numpy as np

from mmp2seg.evaluation.functional.class_masks import ClassMasks, ious_by_class
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.files.image_folder import relative_stem
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.adjacency import touching_objects
from mmp2seg.ops.components import IGNORE

FOUND_IOU = 0.5


def found_objects(pred: ClassMasks, objects: ClassMasks) -> np.ndarray:
    """Find the objects with which a prediction of their class has an IoU of at least .5.

    Args:
        pred: predicted masks of an image.
        objects: ``G`` true masks of the image.

    Returns:
        np.ndarray: ``(G,)`` bool.
    """
    found = np.zeros(len(objects.rles), dtype=bool)
    for _, of_truth, ious in ious_by_class(pred, objects):
        if ious.size:
            found[of_truth] = ious.max(axis=0) >= FOUND_IOU
    return found


class AdjacentObjects:
    """The rule by which objects of an image are adjacent.

    Args:
        truth: file of the objects.
        gap: largest distance of adjacent objects, in pixels.
        void_dir: folder with a map ``<image name>.png`` for each image, 255 = void, in the image's
            sub-folder or directly in ``void_dir``. None: no void.
        void_gap: largest number of steps over void pixels from an object to an adjacent one.

    Raises:
        FileNotFoundError: ``void_dir`` does not exist.
        ValueError: ``gap`` is negative, or ``void_gap`` is below 1.
    """

    def __init__(
        self,
        truth: TruthFile,
        *,
        gap: int = 2,
        void_dir: str | Path | None = None,
        void_gap: int = 6,
    ) -> None:
        touching_objects([], [], gap=gap, void_gap=void_gap)  # checks gap and void_gap
        if void_dir is not None and not Path(void_dir).is_dir():
            raise FileNotFoundError(f'{void_dir}: no such folder of void maps')
        self.truth = truth
        self.gap = gap
        self.void_dir = void_dir
        self.void_gap = void_gap

    def of_image(self, image_id: int, objects: ClassMasks) -> np.ndarray:
        """Find the adjacent objects of an image.

        Args:
            image_id: id of the image in the truth.
            objects: ``G`` true masks of the image.

        Returns:
            np.ndarray: ``(G,)`` bool.

        Raises:
            FileNotFoundError: the void map of the image is missing.
            ValueError: the void map is not a map, or it does not have the size of the image; the
                message names the file.
        """
        void = None if self.void_dir is None else self._void_of(image_id)
        return touching_objects(
            objects.rles, objects.category_ids, gap=self.gap, void=void, void_gap=self.void_gap
        )

    def _void_of(self, image_id: int) -> np.ndarray:
        image = self.truth.images[image_id]
        stem = relative_stem(image['file_name'])
        path, bare = (Path(self.void_dir) / f'{name}.png' for name in (stem, Path(stem).name))
        if Path(stem).is_absolute() or (not path.is_file() and bare.is_file()):
            path = bare
        void, size = read_index_png(path) == IGNORE, (image['height'], image['width'])
        if void.shape != size:
            raise ValueError(f'{path}: expected a map of the image size {size}, got {void.shape}')
        return void


def summarize_found(found: np.ndarray, adjacent: np.ndarray) -> dict[str, float]:
    """Compute the rates over the objects of all images.

    Args:
        found: ``(N,)`` bool.
        adjacent: ``(N,)`` bool.

    Returns:
        dict: ``missing_rate_iou50`` (a fraction, nan without objects), ``adjacent_rate_iou50`` (a
        fraction, nan without adjacent objects), ``num_objects``, ``num_missing_iou50``,
        ``num_adjacent``, ``num_adjacent_found_iou50``.
    """
    found, adjacent = np.asarray(found, dtype=bool), np.asarray(adjacent, dtype=bool)
    num_objects, num_adjacent = len(found), int(adjacent.sum())
    num_missing, num_adjacent_found = int((~found).sum()), int(found[adjacent].sum())
    return {
        'missing_rate_iou50': _share(num_missing, num_objects),
        'adjacent_rate_iou50': _share(num_adjacent_found, num_adjacent),
        'num_objects': num_objects,
        'num_missing_iou50': num_missing,
        'num_adjacent': num_adjacent,
        'num_adjacent_found_iou50': num_adjacent_found,
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float('nan')
