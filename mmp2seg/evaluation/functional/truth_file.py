"""True instances of a COCO json, by image, and a whole pseudo label file compared with them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from mmp2seg.datasets.coco_content import check_coco_content
from mmp2seg.evaluation.functional.pseudo_masks import compare_image
from mmp2seg.evaluation.functional.truth_maps import annotation_rle
from mmp2seg.files.json_reading import read_json_object


class TruthFile:
    """Images, categories and annotations of a COCO instance json.

    Args:
        path: COCO json with polygons or RLE; ``point`` of an annotation is optional.

    Raises:
        FileNotFoundError, ValueError: As the file is missing or malformed, which includes ids and
            names that occur twice, category ids that are no 64-bit integers, and annotations of
            unknown images or categories; names file and place.
    """

    def __init__(self, path: str | Path) -> None:
        content = read_json_object(path, lists=('images', 'categories', 'annotations'))
        check_coco_content(
            path,
            content,
            image_keys=('height', 'width'),
            annotation_keys=('id', 'segmentation'),
        )
        _check_category_ids(path, content['categories'])
        self.path = Path(path)
        self.categories: list[dict] = content['categories']
        self.images: dict[int, dict] = {image['id']: image for image in content['images']}
        self._annotations: dict[int, list[dict]] = defaultdict(list)
        for ann in content['annotations']:
            self._annotations[ann['image_id']].append(ann)

    def annotations_of(self, image_id: int) -> list[dict]:
        """Annotations of an image, ``[]`` for one without objects.

        Raises:
            ValueError: The image is not in the file.
        """
        if image_id not in self.images:
            raise ValueError(f'{self.path}: image {image_id} is not among its images')
        return self._annotations.get(image_id, [])

    def place_of(self, image_id: int) -> str:
        """File, id and name of an image, for errors."""
        return f'{self.path}: image {image_id} ({self.images[image_id]["file_name"]})'

    def rle_of(self, ann: dict) -> dict:
        """Compressed RLE of one of the annotations.

        Raises:
            ValueError: A malformed mask; names file, image and annotation.
        """
        image = self.images[ann['image_id']]
        place = f'{self.place_of(ann["image_id"])}: annotation {ann["id"]}'
        return annotation_rle(ann, image['height'], image['width'], where=place)

    def labels_of(self, classes: Sequence[str]) -> dict[int, int]:
        """Index in ``classes`` by category id; categories of other names are left out."""
        labels = {name: label for label, name in enumerate(classes)}
        categories = [entry for entry in self.categories if entry['name'] in labels]
        return {entry['id']: labels[entry['name']] for entry in categories}

    def compare(
        self,
        image_id: int,
        pred_anns: list[dict],
        *,
        category_ids: Collection[int] | None = None,
        match: str = 'point',
        gap: int = 2,
    ) -> tuple[np.ndarray, np.ndarray]:
        """:func:`~mmp2seg.evaluation.functional.pseudo_masks.compare_image` for one image.

        Args:
            category_ids: true objects of other categories are left out; None keeps all.

        Raises:
            ValueError: Names the file, the image and, for a malformed mask, the annotation.
        """
        truth_anns = self.annotations_of(image_id)
        if category_ids is not None:
            truth_anns = [ann for ann in truth_anns if ann['category_id'] in category_ids]
        image = self.images[image_id]
        objects = [ann for ann in truth_anns if not ann.get('iscrowd', 0)]
        objects = [{**ann, 'segmentation': self.rle_of(ann)} for ann in objects]
        try:
            return compare_image(
                pred_anns,
                objects,
                height=image['height'],
                width=image['width'],
                match=match,
                gap=gap,
            )
        except ValueError as error:
            raise ValueError(f'{self.place_of(image_id)}: {error}') from error
        except (KeyError, TypeError, OverflowError) as error:  # their texts say little alone
            raise ValueError(f'{self.place_of(image_id)}: malformed entry, {error!r}') from error


def compare_files(
    pred: dict, truth: TruthFile, *, match: str = 'point', gap: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Compare a whole pseudo label json with the truth, one image in memory at a time.

    Only the images and categories of ``pred`` take part: the truth may hold more.

    Args:
        pred: Content of a pseudo label json.

    Returns:
        tuple[np.ndarray, np.ndarray]: IoUs and touching flags of all true objects of the images.

    Raises:
        ValueError: Other categories than the truth's, an image that the truth lacks, or an image
            id that stands for another file there.
    """
    _check_same_categories(pred['categories'], truth)
    annotations = defaultdict(list)
    for ann in pred['annotations']:
        annotations[ann['image_id']].append(ann)
    category_ids = {category['id'] for category in pred['categories']}
    ious, touching = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for image in pred['images']:
        image_id, name = image['id'], image['file_name']
        known = truth.images.get(image_id, image)['file_name']
        if Path(known).name != Path(name).name:
            raise ValueError(f'{truth.path}: image {image_id} is {known}, expected {name}')
        of_image = truth.compare(
            image_id, annotations[image_id], category_ids=category_ids, match=match, gap=gap
        )
        ious.append(of_image[0])
        touching.append(of_image[1])
    return np.concatenate(ious), np.concatenate(touching)


def _check_category_ids(path: str | Path, categories: list[dict]) -> None:
    for index, category in enumerate(categories):
        try:
            np.int64(category['id'])
        except (ValueError, OverflowError) as error:
            where, value = f'{path}: categories[{index}]', category['id']
            raise ValueError(
                f'{where}: expected id to be a 64-bit integer, got {value!r:.60}'
            ) from error


def _check_same_categories(categories: list[dict], truth: TruthFile) -> None:
    names = {category['id']: category['name'] for category in truth.categories}
    for category in categories:
        if names.get(category['id']) != category['name']:
            raise ValueError(
                f'{truth.path}: expected category {category["id"]} to be {category["name"]!r}, '
                f'got {names.get(category["id"])!r}'
            )
