"""Pictures of the masks that were found from points.

Images are ``(H, W, 3)`` uint8 RGB, points continuous ``(x, y)`` in pixels.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from mmp2seg.ops.coords import points_to_pixels
from mmp2seg.visualization.panels import (
    BLACK,
    WHITE,
    distinct_colors,
    draw_instance_map,
    draw_points,
    panel_row,
)

# Smaller images are enlarged by a whole factor, so that a point does not cover its object.
_LONG_SIDE = 640


def draw_point_masks(
    image: np.ndarray,
    points_xy: np.ndarray,
    labels: Sequence[int],
    *,
    num_classes: int,
    instance_map: np.ndarray | None = None,
    background_xy: np.ndarray | None = None,
    show_points: bool = True,
) -> np.ndarray:
    """Draw masks and points over an image; enlarge a small image by a whole factor.

    A point is a disc in the colour of its class, a point without a mask a cross, and a background
    click a black ring.

    Args:
        image: image to draw on.
        points_xy: ``(N, 2)`` floats.
        labels: ``(N,)`` integers ``0..K-1``.
        num_classes: K.
        instance_map: ``(H, W)`` integers, 0 = none, ``k + 1`` = the pixels of point ``k``. None:
            draw the points alone, all as discs.
        background_xy: ``(B, 2)`` floats. None: there are none.
        show_points: False: draw the masks alone.

    Returns:
        ndarray: ``(f H, f W, 3)`` uint8, f >= 1.
    """
    factor = max(1, _LONG_SIDE // max(image.shape[:2]))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    picture = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    points = np.asarray(points_xy, dtype=np.float64).reshape(-1, 2)
    labels = np.asarray(labels, dtype=np.int64).reshape(-1)
    found = np.ones(len(points), dtype=bool)
    if instance_map is not None:
        found = np.bincount(instance_map.ravel(), minlength=len(points) + 1)[1:] > 0
        enlarged = instance_map.repeat(factor, axis=0).repeat(factor, axis=1)
        picture = draw_instance_map(picture, enlarged, distinct_colors(len(points)))
    if not show_points:
        return picture
    palette = distinct_colors(num_classes)
    picture = draw_points(picture, points[found] * factor, labels[found], palette)
    picture = draw_points(picture, points[~found] * factor, labels[~found], palette, crossed=True)
    clicks = np.asarray([] if background_xy is None else background_xy, dtype=np.float64)
    return _draw_rings(picture, clicks.reshape(-1, 2) * factor)


def point_mask_row(
    image: np.ndarray,
    points_xy: np.ndarray,
    labels: Sequence[int],
    instance_map: np.ndarray,
    *,
    num_classes: int,
    background_xy: np.ndarray | None = None,
    height: int = 220,
) -> np.ndarray:
    """Draw an image, the same with its points, and with its masks, side by side.

    Args:
        height: height of the three pictures; for the others see :func:`draw_point_masks`.
    """
    options = dict(num_classes=num_classes)
    clicked = draw_point_masks(image, points_xy, labels, background_xy=background_xy, **options)
    masks = draw_point_masks(
        image, points_xy, labels, instance_map=instance_map, show_points=False, **options
    )
    panels = [('image', image), ('points', clicked), ('masks', masks)]
    return panel_row(panels, height=height)


def _draw_rings(image: np.ndarray, points_xy: np.ndarray) -> np.ndarray:
    canvas = image.copy()
    radius = max(4, round(min(image.shape[:2]) / 50))
    for row, col in points_to_pixels(points_xy):
        center = (int(col), int(row))
        cv2.circle(canvas, center, radius, WHITE, 5, cv2.LINE_AA)
        cv2.circle(canvas, center, radius, BLACK, 2, cv2.LINE_AA)
    return canvas
