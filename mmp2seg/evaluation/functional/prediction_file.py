"""Scored instances from a file of COCO results or of pseudo labels."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from mmp2seg.datasets.coco_content import check_coco_content
from mmp2seg.evaluation.functional.class_masks import ClassMasks, best_indices, check_sizes
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.files.json_reading import (
    is_finite_number,
    is_integer,
    read_json,
    read_json_object,
    require_keys,
)
from mmp2seg.ops.rle import first_broken, segmentation_to_rle

_KEYS = ('image_id', 'category_id', 'segmentation', 'score')


class PredictionFile:
    """Predictions of a file by image.

    Args:
        path: list of COCO results, which covers all images of the truth, or pseudo label json,
            which covers its ``images``. Its entries have ``image_id``, ``category_id``,
            ``segmentation`` (any kind of COCO's) and ``score``.
        truth: true instances; images and categories have the same ids in both files.
        score_thr: drop predictions with lower scores.
        max_per_image: keep the top ``max_per_image`` predictions of an image. None: keep all.

    Attributes:
        image_ids: ids of the images that the file covers, ascending.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file is malformed, or its images and categories are not the truth's; the
            message names file and place.
    """

    def __init__(
        self,
        path: str | Path,
        truth: TruthFile,
        *,
        score_thr: float = 0.0,
        max_per_image: int | None = None,
    ) -> None:
        self.path = Path(path)
        self.truth = truth
        self.score_thr = score_thr
        self.max_per_image = max_per_image
        part, entries, image_ids = _read(self.path, truth)
        require_keys(path, part, entries, _KEYS)
        self.image_ids = sorted(image_ids, key=lambda number: (isinstance(number, str), number))
        self._entries: dict[int, list[tuple[str, dict]]] = defaultdict(list)
        category_ids = {category['id'] for category in truth.categories}
        for index, entry in enumerate(entries):
            place = f'{path}: {part}[{index}]'
            if not _is_among(entry['image_id'], image_ids):
                raise ValueError(
                    f'{place}: image {entry["image_id"]!r:.60} is not among the images'
                )
            if not _is_among(entry['category_id'], category_ids):
                known = f'a category of {truth.path}'
                raise ValueError(f'{place}: expected {known}, got {entry["category_id"]!r:.60}')
            if not is_finite_number(entry['score']):
                raise ValueError(f'{place}: expected a number as score, got {entry["score"]!r:.60}')
            self._entries[entry['image_id']].append((place, entry))
        images = [truth.images[entry['image_id']] for entry in entries]
        broken = first_broken(
            [entry['segmentation'] for entry in entries],
            [(image['height'], image['width']) for image in images],
        )
        if broken is not None:
            image_id = entries[broken[0]]['image_id']
            where = f'{path}: {part}[{broken[0]}]'
            raise ValueError(f'{where}: no mask of image {image_id}: {broken[1]}')

    def of_image(self, image_id: int) -> tuple[ClassMasks, np.ndarray]:
        """Return the masks of an image and their ``(N,)`` float64 scores, in the file's order.

        Raises:
            ValueError: a mask is malformed or has another size; the message names file and place.
        """
        entries = self._entries.get(image_id, [])
        scores = np.array([entry['score'] for _, entry in entries], dtype=np.float64)
        kept = best_indices(scores, score_thr=self.score_thr, max_per_image=self.max_per_image)
        image, rles = self.truth.images[image_id], []
        for place, entry in (entries[index] for index in kept):
            try:
                rle = segmentation_to_rle(entry['segmentation'], image['height'], image['width'])
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                raise ValueError(f'{place}: no mask of image {image_id}: {error}') from error
            rles.append(rle)
        check_sizes(rles, self.truth, image_id)
        category_ids = [entries[index][1]['category_id'] for index in kept]
        return ClassMasks.of(rles, category_ids), scores[kept]


def _is_among(value: object, ids: set) -> bool:
    return (isinstance(value, str) or is_integer(value)) and value in ids


def _read(path: Path, truth: TruthFile) -> tuple[str, list, set[int]]:
    """Return the name of the list of predictions, the list, and the ids of the covered images."""
    if not _is_list(path):
        content = read_json_object(path, lists=('images', 'categories', 'annotations'))
        check_coco_content(path, {**content, 'annotations': []})
        truth.check_same_ids(content, where=str(path))
        return 'annotations', content['annotations'], {image['id'] for image in content['images']}
    return 'results', read_json(path), set(truth.images)


def _is_list(path: Path) -> bool:
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no such file')
    with path.open('rb') as file:
        return file.read(64).lstrip()[:1] == b'['
