"""True instances of an image as arrays."""

from collections.abc import Mapping, Sequence

import numpy as np

from mmp2seg.ops.rle import decode_rle, segmentation_to_rle


def is_crowd(annotation: dict) -> bool:
    """Whether a COCO annotation is a crowd, not an instance."""
    return bool(annotation.get('iscrowd', 0))


def decode_masks(annotations: Sequence[dict], height: int, width: int) -> np.ndarray:
    """Masks of COCO annotations.

    Returns:
        np.ndarray: ``(M, H, W)`` bool.
    """
    masks = np.zeros((len(annotations), height, width), dtype=bool)
    for mask, ann in zip(masks, annotations, strict=True):
        mask[:] = decode_rle(segmentation_to_rle(ann['segmentation'], height, width))
    return masks


def truth_instance_map(
    annotations: Sequence[dict], labels: Mapping[int, int], *, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """COCO annotations of an image as one map.

    Args:
        annotations: where they overlap the later one counts; crowds are ignored pixels, except
            where there is an instance.
        labels: the class of every category id; instances of other categories are ignored pixels.

    Returns:
        tuple: ``(H, W)`` int32 map, 1..M an instance, 0 background, -1 ignored; and the ``(M,)``
        int64 classes of the instances.
    """
    known = [not is_crowd(ann) and ann['category_id'] in labels for ann in annotations]
    instances = [ann for ann, is_known in zip(annotations, known, strict=True) if is_known]
    others = [ann for ann, is_known in zip(annotations, known, strict=True) if not is_known]
    instance_map = np.zeros((height, width), dtype=np.int32)
    instance_map[decode_masks(others, height, width).any(axis=0)] = -1
    for number, mask in enumerate(decode_masks(instances, height, width), start=1):
        instance_map[mask] = number
    classes = [labels[ann['category_id']] for ann in instances]
    return instance_map, np.array(classes, dtype=np.int64)
