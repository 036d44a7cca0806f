"""Pictures of single points: the object that was found, or the place where none was found.

Images are ``(H, W, 3)`` uint8 RGB, points continuous ``(x, y)`` in pixels, and windows
``(top, left, bottom, right)`` in pixels, which may extend beyond the image.
"""

import cv2
import numpy as np

from mmp2seg.ops.coords import points_to_pixels
from mmp2seg.visualization.panels import (
    WHITE,
    Palette,
    draw_instance_map,
    draw_outlines,
    draw_points,
    draw_semantic_map,
    panel_row,
)

Window = tuple[int, int, int, int]


def object_crop(
    image: np.ndarray,
    point_xy: np.ndarray,
    label: int,
    mask: np.ndarray,
    *,
    palette: Palette,
    truth: np.ndarray | None = None,
    height: int = 150,
) -> np.ndarray:
    """Draw the surroundings of an object: the image, its mask and, if known, its true mask.

    Args:
        image: image of the object.
        point_xy: ``(2,)`` floats.
        label: class of the point, ``0..K-1``.
        mask: ``(H, W)`` bool.
        palette: ``K`` RGB colours of the classes.
        truth: ``(H, W)`` bool; it is drawn with the outline of the mask in white.
        height: of the pictures, which are side by side.
    """
    seen = mask if truth is None else mask | truth
    window = object_window(seen, point_xy)
    # the final size first, so that points and outlines are seen whatever the size of the object
    pixels = _resize_image(_crop(image, window, fill=WHITE), height)
    color = [palette[label]]

    def with_mask(values: np.ndarray) -> np.ndarray:
        cropped = _resize_map(_crop(values.astype(np.int32), window, fill=0), height)
        return draw_instance_map(pixels, cropped, color)

    click = _in_crop(point_xy, window, pixels.shape)
    panels = [
        ('image', pixels),
        ('mask', draw_points(with_mask(mask), click, [label], palette)),
    ]
    if truth is not None:
        outline = _resize_map(_crop(mask.astype(np.int32), window, fill=0), height) > 0
        panels.append(('truth', draw_outlines(with_mask(truth), outline[None])))
    return panel_row(panels, height=height)


def failure_crop(
    image: np.ndarray,
    point_xy: np.ndarray,
    label: int,
    instance_map: np.ndarray,
    *,
    palette: Palette,
    semantic_map: np.ndarray | None = None,
    height: int = 150,
) -> np.ndarray:
    """Draw the surroundings of a point without a mask, the point as a cross.

    The pictures are the image, the masks of other points and, if there is one, the semantic map.
    What is outside of the image is white.

    Args:
        image: image of the point.
        point_xy: ``(2,)`` floats; the point may be outside of the image.
        label: class of the point, ``0..K-1``.
        instance_map: ``(H, W)`` integers, 0 = none, ``k + 1`` = instance ``k`` of other points.
        palette: ``K`` RGB colours of the classes.
        semantic_map: ``(H, W)`` integers, 0 background, ``k + 1`` class ``k``, 255 ignore.
        height: of the pictures, which are side by side.

    Raises:
        ValueError: the semantic map contains another value.
    """
    window = point_window(point_xy, image.shape[:2])
    pixels = _resize_image(_crop(image, window, fill=WHITE), height)
    others = _resize_map(_crop(instance_map.astype(np.int32), window, fill=0), height)
    click = _in_crop(point_xy, window, pixels.shape)
    panels = [
        (title, draw_points(picture, click, [label], palette, crossed=True))
        for title, picture in (
            ('image', pixels),
            ('other masks', draw_instance_map(pixels, others)),
        )
    ]
    if semantic_map is not None:
        drawn = _crop(draw_semantic_map(semantic_map, palette), window, fill=WHITE)
        # white, because the map may have the colour of the point's class there
        cross = draw_points(_resize_map(drawn, height), click, [0], [WHITE], crossed=True)
        panels.append(('semantic map', cross))
    return panel_row(panels, height=height)


def object_window(mask: np.ndarray, point_xy: np.ndarray, *, margin: float = 0.3) -> Window:
    """Return the window of a ``(H, W)`` bool mask and its point, with a margin, in the image.

    Args:
        mask: the mask; without pixels, the window is that of the point.
        point_xy: ``(2,)`` floats.
        margin: share of the longer side that is added on all sides, at least 12 pixels.
    """
    rows, cols = np.nonzero(mask)
    ((row, col),) = points_to_pixels(np.asarray(point_xy)[None])
    rows, cols = np.append(rows, row), np.append(cols, col)
    sides = int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1
    border = max(12, round(margin * max(sides)))
    height, width = mask.shape
    top, left = max(0, int(rows.min()) - border), max(0, int(cols.min()) - border)
    bottom = min(height, int(rows.max()) + 1 + border)
    right = min(width, int(cols.max()) + 1 + border)
    # of a point that is far outside of the image nothing may be left
    return min(top, height - 1), min(left, width - 1), max(bottom, 1), max(right, 1)


def point_window(point_xy: np.ndarray, size: tuple[int, int]) -> Window:
    """Return a square window around a point, a third of the image's long side, at least 48 pixels.

    Args:
        point_xy: ``(2,)`` floats. For a point outside of the image, the nearest place in it is
            the centre.
        size: ``(H, W)`` of the image.
    """
    half = max(24, round(max(size) / 6))
    col, row = (
        int(np.clip(np.floor(value), 0, side - 1))
        for value, side in zip(np.asarray(point_xy, np.float64), size[::-1], strict=True)
    )
    return row - half, col - half, row + half, col + half


def _crop(values: np.ndarray, window: Window, *, fill: object) -> np.ndarray:
    """Cut a window out of an image or a map; fill what is outside."""
    top, left, bottom, right = window
    part = np.empty((bottom - top, right - left, *values.shape[2:]), dtype=values.dtype)
    part[:] = fill
    height, width = values.shape[:2]
    rows, cols = (
        slice(max(0, begin), max(0, min(side, end)))
        for begin, end, side in ((top, bottom, height), (left, right, width))
    )
    inner = values[rows, cols]
    first, second = rows.start - top, cols.start - left
    part[first : first + inner.shape[0], second : second + inner.shape[1]] = inner
    return part


def _resize_image(image: np.ndarray, height: int) -> np.ndarray:
    mode = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, _size_of(image, height), interpolation=mode)


def _resize_map(values: np.ndarray, height: int) -> np.ndarray:
    return cv2.resize(values, _size_of(values, height), interpolation=cv2.INTER_NEAREST)


def _size_of(values: np.ndarray, height: int) -> tuple[int, int]:
    return max(1, round(values.shape[1] * height / values.shape[0])), height


def _in_crop(point_xy: np.ndarray, window: Window, shape: tuple[int, ...]) -> np.ndarray:
    """Move a ``(2,)`` point into a window that was resized to ``shape``; ``(1, 2)``."""
    top, left, bottom, right = window
    scale = shape[1] / (right - left), shape[0] / (bottom - top)
    moved = (np.asarray(point_xy, np.float64) - [left, top]) * scale
    return np.clip(moved, -1e4, 1e4)[None]  # OpenCV takes no larger coordinates
