"""Convert binary masks to polygons, for code that cannot read RLE."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def mask_to_polygons(mask: NDArray[np.bool_]) -> list[list[float]]:
    """Trace the outlines of a mask along the edges of its pixels.

    COCO polygons cannot have holes, so holes are filled. For a mask without holes, pycocotools
    converts the polygons back to exactly the same mask.

    Args:
        mask: ``(H, W)`` bool.

    Returns:
        list[list[float]]: one polygon ``[x1, y1, x2, y2, ...]`` per 8-connected part, in continuous
        coordinates (pixel ``(column, row)`` covers ``[column, column + 1)``).
    """
    pixels = np.ascontiguousarray(mask, dtype=np.uint8)
    left, top, width, height = cv2.boundingRect(pixels)
    part = pixels[top : top + height, left : left + width]
    # Pixel c becomes the pixels 2c and 2c + 1. An outline then has even coordinates at left and
    # upper edges and odd ones at right and lower edges; (number + 1) // 2 is the edge's coordinate.
    doubled = part.repeat(2, axis=0).repeat(2, axis=1)
    outlines, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corner = np.array([left, top])
    return [_simplified((outline.reshape(-1, 2) + 1) // 2 + corner) for outline in outlines]


def _simplified(vertices: NDArray[np.integer[Any]]) -> list[float]:
    """Remove repeated vertices, and those in the middle of a straight line."""
    vertices = vertices[np.any(vertices != np.roll(vertices, 1, axis=0), axis=1)]
    before = vertices - np.roll(vertices, 1, axis=0)
    after = np.roll(vertices, -1, axis=0) - vertices
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    values: list[float] = vertices[turns].ravel().astype(float).tolist()
    return values
