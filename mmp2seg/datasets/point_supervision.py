"""The flag ``supervision`` of an annotation in a point json: a true mask or box beside its point.

- ``'point'``, or no flag: the point alone. A ``bbox`` or ``segmentation`` of it is never looked at.
- ``'box'``: ``bbox`` limits the object.
- ``'mask'``: ``segmentation`` is the object.

An image can have the flag ``'mask'`` too: all of its objects have masks, and the rest is
background. Without it, nothing is concluded about pixels outside of the masks.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.files.json_reading import is_finite_number
from mmp2seg.ops.rle import Rle, encode_rle, segmentation_to_rle

SUPERVISION_KINDS = ('point', 'box', 'mask')
# The keys of an annotation that belong to the flag.
GIVEN_KEYS = {'box': ('bbox',), 'mask': ('segmentation',)}


def supervision_kind(entry: Mapping[str, Any], *, where: str) -> str:
    """Return the flag of an annotation, ``'point'`` without one.

    Raises:
        ValueError: it is none of :data:`SUPERVISION_KINDS`; the message begins with ``where``.
    """
    kind = entry.get('supervision', 'point')
    if kind not in SUPERVISION_KINDS:
        expected = ', '.join(map(repr, SUPERVISION_KINDS))
        raise ValueError(f'{where}: expected supervision to be one of {expected}, got {kind!r:.60}')
    return str(kind)


def read_given_mask(
    annotation: Mapping[str, Any], *, image: Mapping[str, Any], where: str
) -> tuple[str, Rle | None]:
    """Return the flag of an annotation and the pixels that it may have.

    Args:
        annotation: with a ``point``.
        image: its entry in ``images``; a mask or a box needs its ``height`` and ``width``.
        where: file and place, for errors.

    Returns:
        tuple: the kind; the RLE of the mask, or of all pixels that the box touches. None for a
        point.

    Raises:
        ValueError: the flag is unknown; the size of the image, the mask or the box is missing or
            broken; the mask is empty, or the point is outside of the box. The message begins with
            ``where``.
    """
    kind = supervision_kind(annotation, where=where)
    if kind == 'point':
        return kind, None
    size = image.get('height'), image.get('width')
    if not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f'{where}: expected height and width of its image, got {size}')
    if kind == 'box':
        return kind, _filled_box(annotation, size, where)
    try:
        rle = segmentation_to_rle(annotation.get('segmentation'), *size)
    except ValueError as error:
        raise ValueError(f'{where}: supervision {kind!r}: {error}') from error
    if not mask_utils.area(rle):
        raise ValueError(f"{where}: supervision 'mask': expected a mask with pixels, got none")
    counts = rle['counts']
    counts = counts.decode('ascii') if isinstance(counts, bytes) else counts
    return kind, {'size': list(size), 'counts': counts}


def all_objects_have_masks(image: Mapping[str, Any], kinds: Iterable[str], *, where: str) -> bool:
    """Return whether an image has the flag that all of its objects have masks.

    Args:
        image: entry of ``images``.
        kinds: the flags of its annotations.
        where: file and place, for errors.

    Raises:
        ValueError: the flag is unknown, or an annotation has another one; the message begins with
            ``where``.
    """
    flag = image.get('supervision')
    if flag not in (None, 'mask'):
        raise ValueError(
            f"{where}: expected supervision of an image to be 'mask' or left out, got {flag!r:.60}"
        )
    others = [kind for kind in kinds if kind != 'mask']
    if flag and others:
        raise ValueError(
            f"{where}: supervision 'mask' of an image says that all of its objects have masks, got "
            f'{len(others)} without'
        )
    return flag is not None


def draw_true_classes(
    semantic_map: np.ndarray, instances: Iterable[Mapping[str, Any]], *, complete: bool
) -> np.ndarray:
    """Draw the true masks into a weak semantic map.

    Where masks overlap, the smaller one is drawn.

    Args:
        semantic_map: ``(H, W)`` uint8, 0 background, ``k + 1`` class ``k``, 255 ignore.
        instances: dicts with ``bbox_label``, and ``supervision`` and ``mask`` if they have a mask.
        complete: all objects of the image have masks: the rest is background, but for 255.

    Returns:
        np.ndarray: ``(H, W)`` uint8, a new map.

    Raises:
        ValueError: a mask has another size than the map.
    """
    drawn = semantic_map.copy()
    if complete:
        drawn[drawn != 255] = 0
    masks = [one for one in instances if one.get('supervision') == 'mask']
    for one in sorted(masks, key=lambda one: -int(mask_utils.area(one['mask']))):
        size = one['mask']['size']
        if tuple(size) != semantic_map.shape:
            height, width = semantic_map.shape
            raise ValueError(
                f'expected true masks of {width} x {height} pixels like the image, got '
                f'{size[1]} x {size[0]}'
            )
        drawn[mask_utils.decode(one['mask']) > 0] = one['bbox_label'] + 1
    return drawn


def _filled_box(annotation: Mapping[str, Any], size: tuple[int, int], where: str) -> Rle:
    box = annotation.get('bbox')
    where = f"{where}: supervision 'box'"
    if not (isinstance(box, list) and len(box) == 4 and all(map(is_finite_number, box))):
        raise ValueError(f'{where}: expected bbox [x, y, width, height], got {box!r:.60}')
    left, top, width, height = box
    x, y = annotation['point']
    if not (width > 0 and height > 0 and left <= x <= left + width and top <= y <= top + height):
        raise ValueError(f'{where}: expected a bbox around the point ({x:g}, {y:g}), got {box}')
    mask = np.zeros(size, bool)
    rows = slice(max(0, int(np.floor(top))), max(0, int(np.ceil(top + height))))
    columns = slice(max(0, int(np.floor(left))), max(0, int(np.ceil(left + width))))
    mask[rows, columns] = True
    return encode_rle(mask)
