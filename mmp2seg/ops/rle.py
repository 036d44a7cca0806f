"""Run-length encoded masks in the form that both pycocotools and mmdet read."""

import cv2
import numpy as np
from pycocotools import mask as mask_utils

# Corners further off than this are a broken file; pycocotools takes memory for each step to them.
_FARTHEST = 1e6


def encode_rle(mask: np.ndarray) -> dict:
    """Compressed RLE of one mask.

    ``counts`` is a ``str``: bytes are no json, and mmdet's ``LoadAnnotations`` silently ignores
    every instance whose counts are bytes.

    Args:
        mask: ``(H, W)`` bool.

    Returns:
        dict: ``{'size': [H, W], 'counts': str}``.
    """
    # OpenCV's transpose is twice as fast as numpy's way to column order.
    columns = cv2.transpose(np.ascontiguousarray(mask, dtype=np.uint8))
    rle = mask_utils.encode(columns.T)
    return {'size': [int(side) for side in rle['size']], 'counts': rle['counts'].decode('ascii')}


def decode_rle(rle: dict) -> np.ndarray:
    """Inverse of :func:`encode_rle`.

    Returns:
        np.ndarray: ``(H, W)`` bool.
    """
    return mask_utils.decode(rle).astype(bool)


def segmentation_to_rle(segmentation: dict | list, height: int, width: int) -> dict:
    """Compressed RLE of any COCO segmentation.

    Args:
        segmentation: Polygons, uncompressed RLE (``counts`` a list) or compressed RLE.
        height: Height of the image.
        width: Width of the image.

    Returns:
        dict: RLE; its ``counts`` may be ``bytes`` where it had to be converted.

    Raises:
        ValueError: No segmentation; no polygon of three corners, or a corner that is not finite or
            far off; an RLE of another size, or whose runs do not make up the image. pycocotools
            crashes on the former, and leaves pixels after the last run as the memory was.
    """
    if isinstance(segmentation, list):
        polygons = [polygon_values(polygon) for polygon in segmentation]
        polygons = [p for p in polygons if len(p) >= 6 and len(p) % 2 == 0]
        if not polygons:
            raise ValueError('expected a polygon with at least three corners, got none')
        return mask_utils.merge(mask_utils.frPyObjects(polygons, height, width))
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
        return mask_utils.frPyObjects(segmentation, height, width)
    if not isinstance(counts, (str, bytes)) or _num_pixels(counts) != height * width:
        raise ValueError(
            f'expected runs that make up the {height * width} pixels, got {counts!r:.60}'
        )
    return segmentation


def polygon_values(polygon: list) -> np.ndarray:
    """The numbers of a polygon of a segmentation, fit for pycocotools.

    Args:
        polygon: ``[x1, y1, x2, y2, ...]``; their number is not checked.

    Returns:
        np.ndarray: ``(V,)`` float64.

    Raises:
        ValueError: It is no list of numbers, or one is not finite or far off.
    """
    try:
        values = np.array(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.full(1, np.nan)
    if values.ndim != 1 or not (np.abs(values) < _FARTHEST).all():  # nan too
        raise ValueError(f'expected polygons of finite numbers, got {polygon!r:.60}')
    return values


def _num_pixels(counts: str | bytes) -> int:
    """Sum of the runs of a compressed RLE; -1 if it cannot be read.

    A run is a sequence of characters of six bits from '0' on, the lowest first: five bits of the
    number, and one that says that more follow; from the fourth run on it is the difference to the
    run before the last (pycocotools, maskApi.c, rleToString).
    """
    try:
        codes = np.frombuffer(
            counts.encode('ascii') if isinstance(counts, str) else counts, dtype=np.uint8
        )
    except UnicodeEncodeError:
        return -1
    codes = codes.astype(np.int64) - 48
    if not codes.size or (codes < 0).any() or (codes > 63).any() or codes[-1] & 32:
        return -1
    last = (codes & 32) == 0
    runs = np.cumsum(last) - last  # of each character
    starts = np.flatnonzero(np.r_[True, last[:-1]])
    places = np.arange(len(codes)) - starts[runs]
    if places.max() > 8:  # more than 45 bits
        return -1
    values = np.zeros(len(starts), np.int64)
    np.add.at(values, runs, (codes & 31) << (5 * places))
    ends = np.flatnonzero(last)
    negative = (codes[ends] & 16) > 0
    values -= negative * (np.int64(1) << (5 * (places[ends] + 1)))
    # differences to the run before the last, from the fourth run on: two interleaved sums
    if len(values) > 3:
        values[1::2] = np.cumsum(values[1::2])
        values[2::2] = np.cumsum(values[2::2])
    return -1 if (values < 0).any() else int(values.sum())
