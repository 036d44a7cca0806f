"""Run-length encoded masks (RLE) that both pycocotools and mmdet can read."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

# 'size' [height, width] and 'counts'
Rle = dict[str, Any]

# A corner farther away than this means a broken file. pycocotools allocates memory in proportion to
# the length of an edge.
_FARTHEST = 1e6


def encode_rle(mask: NDArray[np.bool_]) -> Rle:
    """Encode a mask as compressed RLE.

    ``counts`` is a ``str``: json cannot hold bytes, and mmdet's ``LoadAnnotations`` silently
    ignores every instance whose counts are bytes.

    Args:
        mask: ``(H, W)`` bool.

    Returns:
        dict: ``{'size': [H, W], 'counts': str}``.
    """
    # OpenCV transposes twice as fast as numpy copies to column order.
    columns = cv2.transpose(np.ascontiguousarray(mask, dtype=np.uint8))
    rle = mask_utils.encode(columns.T)
    return {'size': [int(side) for side in rle['size']], 'counts': rle['counts'].decode('ascii')}


def encode_instance_map(instance_map: NDArray[np.integer], num: int) -> list[Rle | None]:
    """Encode all instances of a map; time and memory do not grow with their number.

    Args:
        instance_map: ``(H, W)`` integers, 0 = none, ``k + 1`` = the pixels of instance ``k``.
        num: N, the number of instances.

    Returns:
        list: N RLEs, as those of :func:`encode_rle`; None for an instance without pixels.

    Raises:
        ValueError: the map has a value that is not in ``0..N``.
    """
    height, width = instance_map.shape
    values = instance_map.T.ravel()  # RLE runs down the columns
    if values.size and not 0 <= values.min() <= values.max() <= num:
        raise ValueError(
            f'expected values in 0..{num}, got {values.min()}..{values.max()} in an instance map'
        )
    places = np.flatnonzero(values)
    places = places[np.argsort(values[places], kind='stable')]
    ends = np.cumsum(np.bincount(values, minlength=num + 1)[1:])
    return [
        _encode_places(part, height, width) if len(part) else None
        for part in np.split(places, ends[:-1])[:num]
    ]


def _encode_places(places: NDArray[np.int64], height: int, width: int) -> Rle:
    """Encode the pixels at some ascending places of the image, counted down the columns."""
    breaks = np.flatnonzero(np.diff(places) != 1)
    firsts = places[np.r_[0, breaks + 1]]
    afters = places[np.r_[breaks, len(places) - 1]] + 1
    borders = np.stack([firsts, afters], axis=1).ravel()
    counts = np.diff(np.r_[0, borders, height * width])
    if counts[-1] == 0:
        counts = counts[:-1]
    runs = {'size': [height, width], 'counts': counts.tolist()}
    rle = mask_utils.frPyObjects(runs, height, width)
    return {'size': [height, width], 'counts': rle['counts'].decode('ascii')}


def decode_rle(rle: Rle) -> NDArray[np.bool_]:
    """Decode compressed RLE; the inverse of :func:`encode_rle`.

    Returns:
        NDArray: ``(H, W)`` bool.
    """
    mask: NDArray[np.bool_] = mask_utils.decode(rle).astype(bool)
    return mask


def segmentation_to_rle(segmentation: Rle | list[Any], height: int, width: int) -> Rle:
    """Convert any COCO segmentation to compressed RLE.

    Args:
        segmentation: Polygons, uncompressed RLE (``counts`` a list) or compressed RLE.
        height: Height of the image.
        width: Width of the image.

    Returns:
        dict: RLE. Its ``counts`` are ``bytes`` if ``segmentation`` had to be converted.

    Raises:
        ValueError: It is neither polygons nor an RLE; no polygon has three corners; a corner is not
            finite or very far away; the RLE has another size, or its runs do not add up to the
            number of pixels. Without these checks, pycocotools would crash on an RLE of another
            size and leave the pixels after the last run uninitialised.
    """
    if isinstance(segmentation, list):
        polygons = [polygon_values(polygon) for polygon in segmentation]
        polygons = [p for p in polygons if len(p) >= 6 and len(p) % 2 == 0]
        if not polygons:
            raise ValueError('expected a polygon with at least three corners, got none')
        merged: Rle = mask_utils.merge(mask_utils.frPyObjects(polygons, height, width))
        return merged
    if not isinstance(segmentation, dict) or not {'size', 'counts'} <= segmentation.keys():
        raise ValueError(f'expected polygons or an RLE, got {segmentation!r:.60}')
    size, counts = segmentation['size'], segmentation['counts']
    if not isinstance(size, (list, tuple)) or list(size) != [height, width]:
        raise ValueError(f'expected a mask of the image size {[height, width]}, got {size!r:.60}')
    if isinstance(counts, list):
        sound = all(isinstance(count, int) and count >= 0 for count in counts)
        if not sound or sum(counts) != height * width:
            raise ValueError(
                f'expected runs that make up the {height * width} pixels, got {counts!r:.60}'
            )
        compressed: Rle = mask_utils.frPyObjects(segmentation, height, width)
        return compressed
    if not isinstance(counts, (str, bytes)) or _num_pixels(counts) != height * width:
        raise ValueError(
            f'expected runs that make up the {height * width} pixels, got {counts!r:.60}'
        )
    return segmentation


def polygon_values(polygon: Sequence[float]) -> NDArray[np.float64]:
    """Check the coordinates of a polygon and return them for pycocotools.

    Args:
        polygon: ``[x1, y1, x2, y2, ...]``; its length is not checked.

    Returns:
        NDArray: ``(V,)`` float64.

    Raises:
        ValueError: It is not a list of numbers, or one is not finite or very far away.
    """
    try:
        values = np.array(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.full(1, np.nan)
    if values.ndim != 1 or not (np.abs(values) < _FARTHEST).all():  # nan too
        raise ValueError(f'expected polygons of finite numbers, got {polygon!r:.60}')
    return values


def _num_pixels(counts: str | bytes) -> int:
    """Sum the runs of a compressed RLE; -1 if it cannot be read.

    A run is a sequence of characters that encode 6 bits each, starting from '0', lowest bits first:
    five bits of the number, and a bit that says whether more characters follow. From the fourth run
    on, the number is the difference from the run two positions earlier (pycocotools, maskApi.c,
    rleToString).
    """
    try:
        characters = counts.encode('ascii') if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        return -1
    codes = np.frombuffer(characters, dtype=np.uint8).astype(np.int64) - ord('0')
    if not codes.size or (codes < 0).any() or (codes > 63).any() or codes[-1] & 32:
        return -1
    last = (codes & 32) == 0
    runs = np.cumsum(last) - last  # the run of each character
    starts = np.flatnonzero(np.r_[True, last[:-1]])
    places = np.arange(len(codes)) - starts[runs]
    if places.max() > 8:  # more than 45 bits
        return -1
    values = np.zeros(len(starts), np.int64)
    np.add.at(values, runs, (codes & 31) << (5 * places))
    ends = np.flatnonzero(last)
    negative = (codes[ends] & 16) > 0
    values -= negative * (np.int64(1) << (5 * (places[ends] + 1)))
    # undo the differences from the run two positions earlier, with two interleaved sums
    if len(values) > 3:
        values[1::2] = np.cumsum(values[1::2])
        values[2::2] = np.cumsum(values[2::2])
    return -1 if (values < 0).any() else int(values.sum())
