"""COCO annotations of an image as masks and as an instance map."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmp2seg.datasets.coco_content import annotation_place
from mmp2seg.ops.affinity import IGNORED
from mmp2seg.ops.rle import decode_rle, segmentation_to_rle


def is_crowd(annotation: dict) -> bool:
    """Return whether a COCO annotation is a crowd region, not an instance."""
    return bool(annotation.get('iscrowd', 0))


def annotation_rle(annotation: dict, height: int, width: int, *, where: str) -> dict:
    """Convert the mask of a COCO annotation to a compressed RLE.

    Args:
        annotation: annotation with polygons or an RLE.
        height: height of its image.
        width: width of its image.
        where: place of the annotation, for errors.

    Raises:
        ValueError: there is no mask or it is malformed; the message begins with ``where``.
    """
    try:
        return segmentation_to_rle(annotation.get('segmentation'), height, width)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f'{where}: {error}') from error


def decode_masks(
    annotations: Sequence[dict], height: int, width: int, *, where: str | None = None
) -> np.ndarray:
    """Decode the masks of COCO annotations.

    Args:
        annotations: ``M`` annotations of one image.
        height: height of the image.
        width: width of the image.
        where: file and image, for errors. None: the id of the image.

    Returns:
        np.ndarray: ``(M, H, W)`` bool.

    Raises:
        ValueError: a mask is missing or malformed; the message begins with ``where`` and names the
            annotation.
    """
    masks = np.zeros((len(annotations), height, width), dtype=bool)
    for index, ann in enumerate(annotations):
        place = annotation_place(where or f'image {ann.get("image_id")}', index, ann)
        masks[index] = decode_rle(annotation_rle(ann, height, width, where=place))
    return masks


def truth_instance_map(
    annotations: Sequence[dict],
    labels: Mapping[int, int],
    *,
    height: int,
    width: int,
    where: str | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the COCO annotations of an image as one map.

    Args:
        annotations: annotations of the image. Later instances cover earlier ones. Pixels of crowd
            regions outside instances are ignored.
        labels: class of each category id; instances of other categories are ignored pixels.
        height: height of the image.
        width: width of the image.
        where: file and image, for errors, see :func:`decode_masks`.

    Returns:
        tuple: ``(H, W)`` int32 map, 1..M an instance, 0 background, -1
        (:data:`mmp2seg.ops.affinity.IGNORED`) ignored; and the ``(M,)`` int64 classes of the
        instances.

    Raises:
        ValueError: see :func:`decode_masks`.
    """
    known = [not is_crowd(ann) and ann['category_id'] in labels for ann in annotations]
    instances = [ann for ann, is_known in zip(annotations, known, strict=True) if is_known]
    others = [ann for ann, is_known in zip(annotations, known, strict=True) if not is_known]
    instance_map = np.zeros((height, width), dtype=np.int32)
    instance_map[decode_masks(others, height, width, where=where).any(axis=0)] = IGNORED
    masks = decode_masks(instances, height, width, where=where)
    for number, mask in enumerate(masks, start=1):
        instance_map[mask] = number
    classes = [labels[ann['category_id']] for ann in instances]
    return instance_map, np.array(classes, dtype=np.int64)
