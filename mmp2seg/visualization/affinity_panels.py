"""Draw the affinity between points and all pixels of their image.

``H, W`` is the size of the picture in pixels. ``h, w`` is the size of the embedding in cells. The
cells cover the padded network input, which is at least as large as the picture.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from mmp2seg.visualization.panels import (
    BLACK,
    WHITE,
    Palette,
    draw_points,
    draw_semantic_map,
    panel_grid,
    panel_row,
)


def draw_heat_map(values: np.ndarray) -> np.ndarray:
    """Draw values on a fixed colour scale: 0 dark violet, 0.5 teal, 1 yellow.

    Args:
        values: ``(H, W)`` floats in [0, 1].

    Returns:
        np.ndarray: ``(H, W, 3)`` uint8 RGB.

    Raises:
        ValueError: values are outside [0, 1] or nan; the message names their range.
    """
    if values.size and not (values.min() >= 0 and values.max() <= 1):  # true for nan, too
        raise ValueError(f'expected values in [0, 1], got {values.min():g}..{values.max():g}')
    levels = np.round(255 * np.asarray(values, dtype=np.float64)).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)


def cells_to_pixels(
    values: np.ndarray, *, padded_size: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Expand a map of cells to pixels by repeating the value of each cell.

    Args:
        values: ``(h, w)`` floats.
        padded_size: height and width of the padded input, in pixels.
        size: height and width of the picture, the upper left part of the padded input.

    Returns:
        np.ndarray: ``(H, W)`` float32.
    """
    enlarged = cv2.resize(
        np.asarray(values, dtype=np.float32), padded_size[::-1], interpolation=cv2.INTER_NEAREST
    )
    return enlarged[: size[0], : size[1]]


def draw_cell(
    image: np.ndarray,
    cell: Sequence[int],
    *,
    grid: tuple[int, int],
    padded_size: tuple[int, int],
    text: str = '',
) -> np.ndarray:
    """Draw a frame around the pixels of a cell, and a text beside it.

    Args:
        image: image to draw on.
        cell: ``(row, col)``.
        grid: height and width of the padded input, in cells.
        padded_size: height and width of the padded input, in pixels.
        text: text to draw.
    """
    canvas = image.copy()
    (top, left), (bottom, right) = (
        [round((cell[axis] + end) * padded_size[axis] / grid[axis]) for axis in (0, 1)]
        for end in (0, 1)
    )
    for margin, color in ((2, BLACK), (1, WHITE)):
        corners = (left - margin, top - margin), (right + margin - 1, bottom + margin - 1)
        cv2.rectangle(canvas, *corners, color, 1)
    if text:
        size = max(0.8, min(image.shape[:2]) / 400)
        place = (right + 4, bottom)
        for thickness, color in ((3, BLACK), (1, WHITE)):
            cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_PLAIN, size, color, thickness)
    return canvas


def affinity_row(
    image: np.ndarray,
    points_xy: np.ndarray,
    labels: Sequence[int],
    cells: np.ndarray,
    affinity: np.ndarray,
    *,
    palette: Palette,
    padded_size: tuple[int, int],
) -> list[tuple[str, np.ndarray]]:
    """Make a panel of the image with its points, and a panel of each chosen point's affinity.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        points_xy: ``(N, 2)`` floats, all points.
        labels: ``(N,)`` integers, classes of the points.
        cells: ``(P, 2)`` integers, ``(row, col)`` of the cells of the chosen points.
        affinity: ``(P, h, w)`` floats in [0, 1], affinity of the chosen points to all cells.
        palette: RGB colours of the classes.
        padded_size: height and width of the padded input, in pixels.
    """
    grid, panels = affinity.shape[1:], []
    with_points = draw_points(image, points_xy, labels, palette)
    for number, (cell, values) in enumerate(zip(cells, affinity, strict=True), start=1):
        mark = dict(grid=grid, padded_size=padded_size)
        with_points = draw_cell(with_points, cell, **mark, text=str(number))
        pixels = cells_to_pixels(values, padded_size=padded_size, size=image.shape[:2])
        heat = draw_cell(draw_heat_map(pixels), cell, **mark)
        panels.append((f'affinity of point {number}', heat))
    return [('image and points', with_points), *panels]


def semantic_row(
    semantic_maps: Mapping[str, np.ndarray], palette: Palette
) -> list[tuple[str, np.ndarray]]:
    """Make a panel of each ``(H, W)`` semantic map, with its key as the title."""
    return [(title, draw_semantic_map(values, palette)) for title, values in semantic_maps.items()]


def join_rows(*rows: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Join rows of panels into one RGB picture; skip empty rows."""
    return panel_grid([panel_row(row) for row in rows if row])
