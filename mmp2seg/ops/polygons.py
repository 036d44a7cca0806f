"""Binary masks as polygons, for code that reads no run-length codes."""

import cv2
import numpy as np


def mask_to_polygons(mask: np.ndarray) -> list[list[float]]:
    """Outlines of a mask's parts along the edges of its pixels.

    A polygon of COCO has no inside, so holes are filled; but for them pycocotools makes the same
    mask of the polygons.

    Args:
        mask: ``(H, W)`` bool.

    Returns:
        list[list[float]]: a polygon ``[x1, y1, x2, y2, ...]`` for each 8-connected part, in
        continuous coordinates (pixel ``(column, row)`` covers ``[column, column + 1)``).
    """
    mask = np.ascontiguousarray(mask, dtype=np.uint8)
    left, top, width, height = cv2.boundingRect(mask)
    part = mask[top : top + height, left : left + width]
    # pixel k of the doubled part: even where it begins a pixel of the mask, odd where it ends one
    doubled = part.repeat(2, axis=0).repeat(2, axis=1)
    outlines, _ = cv2.findContours(doubled, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corner = np.array([left, top])
    return [_simplified((outline.reshape(-1, 2) + 1) // 2 + corner) for outline in outlines]


def _simplified(vertices: np.ndarray) -> list[float]:
    """Without repeated vertices and those in the middle of a straight line."""
    vertices = vertices[np.any(vertices != np.roll(vertices, 1, axis=0), axis=1)]
    before = vertices - np.roll(vertices, 1, axis=0)
    after = np.roll(vertices, -1, axis=0) - vertices
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return vertices[turns].ravel().astype(float).tolist()
