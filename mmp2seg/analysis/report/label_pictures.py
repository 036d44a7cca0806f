"""Pictures of the points of a pseudo label json, each image read once."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmp2seg.analysis.report.scored_points import ScoredPoint
from mmp2seg.evaluation.functional.truth_maps import decode_masks
from mmp2seg.files.image_folder import names_a_file, relative_stem
from mmp2seg.files.image_reading import read_rgb
from mmp2seg.files.index_png import read_index_png
from mmp2seg.visualization.object_crops import failure_crop, object_crop
from mmp2seg.visualization.panels import distinct_colors


class LabelPictures:
    """Draw points of a pseudo label json.

    Args:
        labels: content of the json.
        images: folder of its images.
        semantic_maps: folder of maps ``NAME.png``, 0 background, k + 1 the k-th category, 255
            ignore. None, or no file for an image: its pictures have no map.

    Raises:
        ValueError: the name of an image leads out of the folder.
    """

    def __init__(
        self, labels: Mapping[str, Any], images: str | Path, semantic_maps: str | Path | None = None
    ) -> None:
        self._images = Path(images)
        self._maps = None if semantic_maps is None else Path(semantic_maps)
        self._names = {image['id']: str(image['file_name']) for image in labels['images']}
        for name in self._names.values():
            if not names_a_file(name):
                raise ValueError(f'{images}: expected images below it, got {name!r:.200}')
        self._classes = {c['id']: k for k, c in enumerate(labels['categories'])}
        self._palette = distinct_colors(len(self._classes))
        self._entries = defaultdict(list)
        for entry in labels['annotations']:
            self._entries[entry['image_id']].append(entry)

    @property
    def has_maps(self) -> bool:
        """Whether there is a folder of semantic maps."""
        return self._maps is not None

    def of_objects(self, points: Sequence[ScoredPoint]) -> list[np.ndarray]:
        """Draw the image, the mask and the true mask of each point, in their order.

        Raises:
            FileNotFoundError, ValueError: an image is missing or has another size than a mask; the
                message names it.
        """
        pictures = {}
        for image_id, indices in _by_image([point.entry for point in points]).items():
            image = self._read(image_id)
            for index in indices:
                point = points[index]
                mask, *truth = self._masks(
                    [point.entry, *([point.truth] if point.truth else [])], image, image_id
                )
                pictures[index] = object_crop(
                    image,
                    np.array(point.entry['point']),
                    self._classes[point.entry['category_id']],
                    mask,
                    palette=self._palette,
                    truth=truth[0] if truth else None,
                )
        return [pictures[index] for index in range(len(points))]

    def of_failures(self, dropped: Sequence[Mapping[str, Any]]) -> list[np.ndarray]:
        """Draw the surroundings of points without a mask, in their order.

        Raises:
            FileNotFoundError, ValueError: see :meth:`of_objects`; or a map is unreadable, has
                another size, or has values of no category.
        """
        pictures = {}
        for image_id, indices in _by_image(dropped).items():
            image = self._read(image_id)
            instance_map = np.zeros(image.shape[:2], np.int32)
            for number, entry in enumerate(self._entries[image_id], start=1):
                # one at a time: a crowd of large masks needs much memory
                instance_map[self._masks([entry], image, image_id)[0]] = number
            semantic_map, path = self._read_map(image_id, image.shape[:2])
            for index in indices:
                entry = dropped[index]
                try:
                    pictures[index] = failure_crop(
                        image,
                        np.array(entry['point']),
                        self._classes[entry['category_id']],
                        instance_map,
                        palette=self._palette,
                        semantic_map=semantic_map,
                    )
                except ValueError as error:
                    raise ValueError(f'{path}: {error}') from error
        return [pictures[index] for index in range(len(dropped))]

    def _read(self, image_id: int) -> np.ndarray:
        return read_rgb(self._images / self._names[image_id])

    def _read_map(
        self, image_id: int, size: tuple[int, int]
    ) -> tuple[np.ndarray | None, Path | None]:
        if self._maps is None:
            return None, None
        path = self._maps / f'{relative_stem(self._names[image_id])}.png'
        if not path.is_file():
            return None, None
        semantic_map = read_index_png(path)
        if semantic_map.shape != size:
            raise ValueError(
                f'{path}: expected the size of the image {size}, got {semantic_map.shape}'
            )
        return semantic_map, path

    def _masks(
        self, entries: Sequence[Mapping[str, Any]], image: np.ndarray, image_id: int
    ) -> np.ndarray:
        where, size = f'image {self._names[image_id]}', list(image.shape[:2])
        for entry in entries:
            if list(entry['segmentation']['size']) != size:
                got = entry['segmentation']['size']
                raise ValueError(f'{where}: expected a mask of its size {size}, got {got}')
        return decode_masks(entries, *size, where=where)


def _by_image(entries: Sequence[Mapping[str, Any]]) -> dict[int, list[int]]:
    groups = defaultdict(list)
    for index, entry in enumerate(entries):
        groups[entry['image_id']].append(index)
    return groups
