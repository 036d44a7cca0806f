"""True instances of a COCO json by image, and the comparison of pseudo labels with them."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.datasets.coco_content import check_coco_content, check_segmentations
from mmp2seg.evaluation.functional.pseudo_masks import compare_image, match_points
from mmp2seg.evaluation.functional.truth_maps import annotation_rle, is_crowd
from mmp2seg.files.json_reading import is_integer, read_json_object


class TruthFile:
    """Images, categories and annotations of a COCO instance json.

    Args:
        path: COCO json with polygons or RLE; ``point`` of an annotation is optional.

    Attributes:
        path: path of the file.
        categories: categories in the order of the file.
        images: images by id, in the order of the file.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file is malformed: duplicate ids or names, category ids that are not 64-bit
            integers, annotations of unknown images or categories, masks that cannot be decoded,
            etc.; the message names file and place.
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
        objects = [ann for ann in content['annotations'] if not is_crowd(ann)]
        check_segmentations(path, content['images'], objects)
        self.path = Path(path)
        self.categories: list[dict] = content['categories']
        self.images: dict[int, dict] = {image['id']: image for image in content['images']}
        self._annotations: dict[int, list[dict]] = defaultdict(list)
        for ann in content['annotations']:
            self._annotations[ann['image_id']].append(ann)

    def annotations_of(self, image_id: int) -> list[dict]:
        """Return the annotations of an image; ``[]`` without objects.

        Raises:
            ValueError: the image is not in the file.
        """
        if image_id not in self.images:
            raise ValueError(f'{self.path}: image {image_id} is not among its images')
        return self._annotations.get(image_id, [])

    def place_of(self, image_id: int) -> str:
        """Return file, id and name of an image, for errors."""
        return f'{self.path}: image {image_id} ({self.images[image_id]["file_name"]})'

    def rle_of(self, ann: dict) -> dict:
        """Convert the mask of an annotation to a compressed RLE.

        Raises:
            ValueError: the mask is malformed; the message names file, image and annotation.
        """
        image = self.images[ann['image_id']]
        place = f'{self.place_of(ann["image_id"])}: annotation {ann["id"]}'
        return annotation_rle(ann, image['height'], image['width'], where=place)

    def labels_of(self, classes: Sequence[str]) -> dict[int, int]:
        """Return the index in ``classes`` by category id, without categories of other names."""
        labels = {name: label for label, name in enumerate(classes)}
        categories = [entry for entry in self.categories if entry['name'] in labels]
        return {entry['id']: labels[entry['name']] for entry in categories}

    def check_same_ids(self, content: dict, *, where: str) -> None:
        """Check that another file uses the same ids for images and categories.

        Args:
            content: ``categories`` with id and name, and ``images`` with id and file name. Names of
                images are compared without their folders.
            where: name of the other file, for errors.

        Raises:
            ValueError: an id is missing here or belongs to another name; the message names both.
        """
        names = {category['id']: category['name'] for category in self.categories}
        for category in content['categories']:
            if names.get(category['id']) != category['name']:
                raise ValueError(
                    f'{where}: expected category {category["id"]} to be '
                    f'{names.get(category["id"])!r} as in {self.path}, got {category["name"]!r}'
                )
        for image in content['images']:
            known = self.images.get(image['id'])
            if known is None:
                raise ValueError(
                    f'{where}: image {image["id"]} is not among the images of {self.path}'
                )
            if Path(known['file_name']).name != Path(image['file_name']).name:
                raise ValueError(
                    f'{where}: expected image {image["id"]} to be '
                    f'{known["file_name"]:.200} as in {self.path}, got {image["file_name"]:.200}'
                )

    def compare(
        self,
        image_id: int,
        pred_anns: list[dict],
        *,
        category_ids: Collection[int] | None = None,
        match: str = 'point',
        gap: int = 2,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compare the pseudo labels of an image with its true objects.

        For arguments and results see
        :func:`~mmp2seg.evaluation.functional.pseudo_masks.compare_image`.

        Args:
            image_id: id of the image.
            pred_anns: pseudo annotations of the image.
            category_ids: drop true objects of other categories. None: keep all.
            match: how to find the object of an instance.
            gap: largest distance of touching objects, in pixels.

        Raises:
            ValueError: the image is not in the file, or an entry is malformed; the message names
                the file, the image and, for a malformed true mask, the annotation.
        """
        truth_anns = self.annotations_of(image_id)
        if category_ids is not None:
            truth_anns = [ann for ann in truth_anns if ann['category_id'] in category_ids]
        image = self.images[image_id]
        objects = [ann for ann in truth_anns if not is_crowd(ann)]
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
        except (KeyError, TypeError, OverflowError) as error:  # their messages are not enough
            raise ValueError(f'{self.place_of(image_id)}: malformed entry, {error!r}') from error


def compare_files(
    pred: dict, truth: TruthFile, *, match: str = 'point', gap: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Compare a whole pseudo label json with the truth; decode one image at a time.

    Only images and categories of ``pred`` are compared. The truth may contain more.

    Args:
        pred: content of a pseudo label json.
        truth: true instances; images and categories have the same ids in both files.
        match: see :func:`~mmp2seg.evaluation.functional.pseudo_masks.point_matched_ious`.
        gap: largest distance of touching objects, in pixels.

    Returns:
        tuple[np.ndarray, np.ndarray]: IoUs and touching flags of all true objects of the images.

    Raises:
        ValueError: an image or a category of ``pred`` is not in the truth, or its id belongs to
            another one there; or an entry is malformed.
    """
    truth.check_same_ids(pred, where='pseudo labels')
    annotations = defaultdict(list)
    for ann in pred['annotations']:
        annotations[ann['image_id']].append(ann)
    category_ids = {category['id'] for category in pred['categories']}
    ious, touching = [np.zeros(0)], [np.zeros(0, dtype=bool)]
    for image in pred['images']:
        of_image = truth.compare(
            image['id'], annotations[image['id']], category_ids=category_ids, match=match, gap=gap
        )
        ious.append(of_image[0])
        touching.append(of_image[1])
    return np.concatenate(ious), np.concatenate(touching)


def object_areas(pred: dict, truth: TruthFile) -> np.ndarray:
    """Return the areas of the objects that :func:`compare_files` compares, in the same order.

    Returns:
        np.ndarray: ``(N,)`` int64 pixels.
    """
    category_ids = {category['id'] for category in pred['categories']}
    areas = [
        mask_utils.area(truth.rle_of(ann))
        for image in pred['images']
        for ann in truth.annotations_of(image['id'])
        if ann['category_id'] in category_ids and not is_crowd(ann)
    ]
    return np.array(areas, np.int64)


def objects_with_masks(
    supervised: dict, pred: dict, truth: TruthFile, *, match: str = 'point'
) -> np.ndarray:
    """Return which of the objects of :func:`compare_files` have a true mask to train on.

    Args:
        supervised: content of a pseudo label json, or of a point json, whose annotations have
            ``supervision`` ``'mask'`` (:mod:`mmp2seg.datasets.point_supervision`).
        pred: content of the pseudo label json that is compared.
        truth: see :func:`compare_files`.
        match: see :func:`compare_files`. With ``'order'``, points of a point json have no object.

    Returns:
        np.ndarray: ``(N,)`` bool.
    """
    masked = defaultdict(list)
    for ann in supervised['annotations']:
        if ann.get('supervision') == 'mask':
            masked[ann['image_id']].append({'point_id': ann['id'], **ann})
    category_ids = {category['id'] for category in pred['categories']}
    flags = [np.zeros(0, bool)]
    for image in pred['images']:
        objects = [
            {**ann, 'segmentation': truth.rle_of(ann)}
            for ann in truth.annotations_of(image['id'])
            if ann['category_id'] in category_ids and not is_crowd(ann)
        ]
        found = match_points(masked[image['id']], objects, match=match)
        flags.append(np.isin(np.arange(len(objects)), [n for n in found if n is not None]))
    return np.concatenate(flags)


def _check_category_ids(path: str | Path, categories: list[dict]) -> None:
    for index, category in enumerate(categories):
        if not is_integer(category['id']):
            raise ValueError(
                f'{path}: categories[{index}]: expected id to be a 64-bit integer, '
                f'got {category["id"]!r:.60}'
            )
