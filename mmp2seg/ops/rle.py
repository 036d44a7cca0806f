"""Run-length encoded masks (RLE) that both pycocotools and mmdet can read."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as mask_utils

# 'size' [height, width] and 'counts'
Rle = dict[str, Any]

# Of a mask; pycocotools crashes on far larger ones. It is the limit of images, too:
# mmp2seg/files/image_folder.py.
MAX_PIXELS = 178_956_970
# Segmentations that :func:`first_broken` looks at together, for the memory.
_AT_ONCE = 10_000
# A corner farther away than this means a broken file. pycocotools allocates memory in proportion to
# the length of an edge.
_FARTHEST = 1e6
# Types of coordinates; numpy would take booleans and words too.
_NUMBERS = {int, float, np.float32, np.float64, np.int32, np.int64}


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
            finite or very far away; the image has more than :data:`MAX_PIXELS` pixels; the RLE has
            another size, or its runs do not add up to the number of pixels. Without these checks,
            pycocotools would crash on an RLE of another size or of a huge one, and leave the pixels
            after the last run uninitialised.
    """
    problem = first_broken([segmentation], [(height, width)])
    if problem is not None:
        raise ValueError(problem[1])
    if isinstance(segmentation, list):
        polygons = [polygon_values(polygon) for polygon in segmentation]
        polygons = [p for p in polygons if len(p) >= 6 and len(p) % 2 == 0]
        if not polygons:
            raise ValueError('expected a polygon with at least three corners, got none')
        merged: Rle = mask_utils.merge(mask_utils.frPyObjects(polygons, height, width))
        return merged
    if isinstance(segmentation['counts'], list):
        compressed: Rle = mask_utils.frPyObjects(segmentation, height, width)
        return compressed
    return segmentation


def first_broken(
    segmentations: Sequence[Any], sizes: Sequence[tuple[int, int]]
) -> tuple[int, str] | None:
    """Find the first segmentation that cannot be decoded, without decoding any.

    The runs of all compressed RLEs are added up together: a million take seconds.

    Args:
        segmentations: N COCO segmentations: polygons or RLE. Polygons with fewer than three corners
            pass, as mmdet ignores them.
        sizes: N pairs (H, W), the sizes of their images.

    Returns:
        tuple: index of the first broken one and the reason; None: there is none.
    """
    for start in range(0, len(segmentations), _AT_ONCE):
        places, texts, areas = [], [], []
        problem = None
        for index in range(start, min(start + _AT_ONCE, len(segmentations))):
            segmentation, (height, width) = segmentations[index], sizes[index]
            reason = _why_broken(segmentation, height, width)
            if reason is not None:
                problem = index, reason
                break
            if isinstance(segmentation, dict) and not isinstance(segmentation['counts'], list):
                places.append(index)
                texts.append(_as_bytes(segmentation['counts']))
                areas.append(height * width)
        wrong = np.flatnonzero(_run_sums(texts) != np.array(areas, np.int64))
        if wrong.size:
            counts = segmentations[places[wrong[0]]]['counts']
            return places[wrong[0]], _wrong_runs(counts, areas[wrong[0]])
        if problem is not None:
            return problem
    return None


def _why_broken(segmentation: Any, height: int, width: int) -> str | None:
    """Return what is wrong with a segmentation, except for the runs of a compressed RLE."""
    if height * width > MAX_PIXELS:
        return f'expected an image of at most {MAX_PIXELS} pixels, got {width} x {height}'
    if isinstance(segmentation, list):
        try:
            for polygon in segmentation:
                polygon_values(polygon)
        except ValueError as error:
            return str(error)
        return None
    if not isinstance(segmentation, dict) or not {'size', 'counts'} <= segmentation.keys():
        return f'expected polygons or an RLE, got {segmentation!r:.60}'
    size, counts = segmentation['size'], segmentation['counts']
    if not isinstance(size, (list, tuple)) or list(size) != [height, width]:
        return f'expected a mask of the image size {[height, width]}, got {size!r:.60}'
    if isinstance(counts, list):
        sound = all(type(count) is int and count >= 0 for count in counts)
        sound = sound and sum(counts) == height * width
    else:
        sound = isinstance(counts, (str, bytes))
    return None if sound else _wrong_runs(counts, height * width)


def _wrong_runs(counts: Any, area: int) -> str:
    return f'expected runs that make up the {area} pixels, got {counts!r:.60}'


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
        if not set(map(type, polygon)) <= _NUMBERS:
            raise TypeError
        values = np.array(polygon, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.full(1, np.nan)
    if values.ndim != 1 or not (np.abs(values) < _FARTHEST).all():  # nan too
        raise ValueError(f'expected polygons of finite numbers, got {polygon!r:.60}')
    return values


def _as_bytes(counts: str | bytes) -> bytes:
    """Return the characters of a compressed RLE; none if one cannot be of an RLE."""
    try:
        return counts.encode('ascii') if isinstance(counts, str) else counts
    except UnicodeEncodeError:
        return b''


def _run_sums(texts: Sequence[bytes]) -> NDArray[np.int64]:
    """Sum the runs of compressed RLEs; -1 for those that cannot be read.

    A run is a sequence of characters that encode 6 bits each, starting from '0', lowest bits first:
    five bits of the number, and a bit that says whether more characters follow. From the fourth run
    on, the number is the difference from the run two positions earlier (pycocotools, maskApi.c,
    rleToString).

    Args:
        texts: ``counts`` of N RLEs.

    Returns:
        NDArray: ``(N,)``.
    """
    sums = np.full(len(texts), -1, np.int64)
    lengths = np.array([len(text) for text in texts], np.int64)
    codes = np.frombuffer(b''.join(texts), np.uint8).astype(np.int64) - ord('0')
    starts = np.cumsum(lengths) - lengths
    sound = lengths > 0
    sound[sound] = np.add.reduceat((codes < 0) | (codes > 63), starts[sound]) == 0
    sound[sound] = codes[(starts + lengths - 1)[sound]] < 32  # the last run is complete
    codes = codes[np.repeat(sound, lengths)]
    lengths = lengths[sound]
    if not codes.size:
        return sums
    # runs: their text, their number in it and their value
    last = codes < 32
    ends = np.flatnonzero(last)
    firsts = np.r_[0, ends[:-1] + 1]
    text_of = np.repeat(np.arange(len(lengths)), lengths)[ends]
    num_runs = np.bincount(text_of, minlength=len(lengths))
    first_run = np.cumsum(num_runs) - num_runs
    number = np.arange(len(ends)) - first_run[text_of]
    places = np.arange(len(codes)) - np.repeat(firsts, ends - firsts + 1)
    is_long = np.maximum.reduceat(places, firsts) > 6  # more than 35 bits
    values = np.add.reduceat((codes & 31) << (5 * np.minimum(places, 6)), firsts)
    values -= ((codes[ends] & 16) > 0) * (np.int64(1) << (5 * np.minimum(ends - firsts + 1, 7)))
    values[is_long] = -1
    is_wrong = is_long | (np.abs(values) > MAX_PIXELS)  # sums of others fit 64 bits
    values[is_wrong] = 0
    # Undo the differences: the runs of each text that have odd numbers, and those with even ones
    # but the first, are sums. In a grid of two columns, they are the columns.
    rows = (num_runs + 1) // 2
    first_row = np.cumsum(rows) - rows
    grid = np.zeros((rows.sum(), 2), np.int64)
    row, column = first_row[text_of] + number // 2, number % 2
    grid[row, column] = values
    first_values = grid[first_row, 0].copy()
    grid[first_row, 0] = 0
    grid = np.cumsum(grid, axis=0)
    before = np.where(first_row[:, None] > 0, grid[first_row - 1], 0)
    grid -= np.repeat(before, rows, axis=0)
    grid[first_row, 0] = first_values
    runs = grid[row, column]
    is_wrong |= (runs < 0) | (runs > MAX_PIXELS)
    totals = np.add.reduceat(runs, first_run)
    totals[np.logical_or.reduceat(is_wrong, first_run)] = -1
    sums[sound] = totals
    return sums
