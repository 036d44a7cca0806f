"""Draw points, maps, offset fields and instances as arrays, and join them into panels.

All images are ``(H, W, 3)`` uint8 RGB. Coordinates are continuous: the centre of pixel (col, row)
is ``(col + 0.5, row + 0.5)``. No function modifies its input.
"""

from collections.abc import Sequence
from pathlib import Path, PurePath

import cv2
import numpy as np
from mmcv.visualization import flow2rgb
from PIL import Image
from scipy import ndimage

from mmp2seg.files.atomic_write import replaced_file
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.coords import points_to_pixels
from mmp2seg.visualization.colors import distinct_colors as distinct_colors

IGNORE_COLOR = (224, 224, 224)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
Palette = Sequence[Sequence[int]]
_FAR = 1e6


def draw_points(
    image: np.ndarray,
    points_xy: np.ndarray,
    labels: Sequence[int],
    palette: Palette,
    *,
    crossed: bool = False,
) -> np.ndarray:
    """Draw points as discs or crosses in the colours of their classes.

    Args:
        image: image to draw on.
        points_xy: ``(N, 2)`` floats; points outside the image are not visible.
        labels: ``(N,)`` integers ``0..K-1``.
        palette: ``K`` RGB colours.
        crossed: draw crosses instead of discs, e.g. for points without an instance.
    """
    canvas = image.copy()
    radius = max(2, round(min(image.shape[:2]) / 100))
    # OpenCV takes no coordinates beyond 32 bits; a marker this far outside is not visible
    points_xy = np.clip(np.asarray(points_xy, np.float64), -_FAR, _FAR)
    for (row, col), label in zip(points_to_pixels(points_xy), labels, strict=True):
        center, color = (int(col), int(row)), tuple(int(c) for c in palette[int(label)])
        if crossed:
            cv2.drawMarker(canvas, center, BLACK, cv2.MARKER_TILTED_CROSS, 4 * radius, radius + 2)
            cv2.drawMarker(canvas, center, color, cv2.MARKER_TILTED_CROSS, 4 * radius, radius)
        else:
            cv2.circle(canvas, center, radius + 2, BLACK, -1)
            cv2.circle(canvas, center, radius + 1, WHITE, -1)
            cv2.circle(canvas, center, radius, color, -1)
    return canvas


def draw_semantic_map(semantic_map: np.ndarray, palette: Palette) -> np.ndarray:
    """Draw a semantic map in the colours of its classes.

    Args:
        semantic_map: ``(H, W)`` integers: 0 background (black), ``k + 1`` class ``k``, 255 ignore
            (light grey).
        palette: ``K`` RGB colours.

    Raises:
        ValueError: the map contains another value; the message names it.
    """
    values = np.unique(semantic_map)
    unknown = values[(values > len(palette)) & (values != IGNORE) | (values < 0)]
    if len(unknown):
        raise ValueError(f'expected values 0..{len(palette)} or {IGNORE}, got {unknown.tolist()}')
    table = np.zeros((256, 3), dtype=np.uint8)
    table[1 : len(palette) + 1] = np.asarray(palette, dtype=np.uint8).reshape(-1, 3)
    table[IGNORE] = IGNORE_COLOR
    return table[semantic_map]


def draw_offset_field(
    offset: np.ndarray,
    *,
    valid: np.ndarray | None = None,
    max_length: float | None = None,
    legend: bool = True,
) -> np.ndarray:
    """Draw an offset field with a colour wheel: hue shows the direction, saturation the length.

    Args:
        offset: ``(2, H, W)`` floats, ``(dx, dy)`` in pixels.
        valid: ``(H, W)`` bool; other pixels are black.
        max_length: length drawn with full saturation; longer vectors look the same. Default: the
            length of the longest vector.
        legend: draw a small wheel in the lower right corner. Its centre shows the zero vector, its
            rim the vectors of ``max_length`` that point away from the centre.
    """
    field = np.moveaxis(np.asarray(offset, dtype=np.float32), 0, -1).copy()  # (H, W, 2)
    if valid is not None:
        field[~valid] = np.nan  # flow2rgb paints nan black
    lengths = np.linalg.norm(field, axis=-1, keepdims=True)
    finite = lengths[np.isfinite(lengths)]
    if max_length is None:
        max_length = float(finite.max()) if finite.size else 0.0
    max_length = max(max_length, 1e-6)
    field *= np.minimum(1, max_length / np.maximum(lengths, 1e-6))
    # flow2rgb scales by the longest vector; an added column of max_length fixes the scale
    scale = np.full((len(field), 1, 2), (max_length, 0), dtype=np.float32)
    field = np.concatenate([field, scale], axis=1)
    if legend:
        _put_wheel(field[:, :-1], max_length)
    return np.round(255 * flow2rgb(field)[:, :-1]).astype(np.uint8)


def draw_instances(
    image: np.ndarray,
    masks: np.ndarray,
    labels: Sequence[int],
    points_xy: np.ndarray | None = None,
    *,
    palette: Palette | None = None,
    alpha: float = 0.5,
) -> np.ndarray:
    """Draw instances over the image, each in its own colour with a contour and its point.

    Args:
        image: image to draw on.
        masks: ``(M, H, W)`` bool.
        labels: ``(M,)`` integers ``0..K-1``, which select the colours of the points.
        points_xy: ``(M, 2)`` floats. None: draw no points.
        palette: ``K`` RGB colours of the classes. None: use distinct colours.
        alpha: opacity of the masks.
    """
    canvas = image.copy()
    colors = distinct_colors(len(masks))
    for mask, color in zip(masks, colors, strict=True):
        inside = np.asarray(mask, dtype=bool)
        tinted = (1 - alpha) * canvas[inside] + alpha * np.asarray(color)
        canvas[inside] = np.round(tinted).astype(np.uint8)
    for mask, color in zip(masks, colors, strict=True):
        mask = np.ascontiguousarray(mask, dtype=np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, color, 1)
    if points_xy is None:
        return canvas
    palette = palette or distinct_colors(max((int(label) + 1 for label in labels), default=0))
    return draw_points(canvas, points_xy, labels, palette)


def draw_instance_map(
    image: np.ndarray,
    instance_map: np.ndarray,
    colors: Palette | None = None,
    *,
    alpha: float = 0.5,
) -> np.ndarray:
    """Draw the instances of a map over the image, each in its own colour with a contour.

    Unlike :func:`draw_instances`, it needs no mask of the image's size for each instance.

    Args:
        image: image to draw on.
        instance_map: ``(H, W)`` integers, 0 = none, ``k + 1`` = the pixels of instance ``k``.
        colors: RGB colours of the instances. None: use distinct colours.
        alpha: opacity of the instances.
    """
    number = int(instance_map.max(initial=0))
    table = np.array([BLACK, *(colors or distinct_colors(number))], dtype=np.float32)
    inside = instance_map > 0
    canvas = image.copy()
    tinted = (1 - alpha) * canvas[inside] + alpha * table[instance_map[inside]]
    canvas[inside] = np.round(tinted).astype(np.uint8)
    for index, box in enumerate(ndimage.find_objects(instance_map), start=1):
        if box is None:
            continue
        mask = np.ascontiguousarray(instance_map[box] == index, dtype=np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        corner = (box[1].start, box[0].start)
        cv2.drawContours(canvas, contours, -1, table[index].tolist(), 1, offset=corner)
    return canvas


def draw_outlines(image: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Draw the outlines of ``(M, H, W)`` bool masks over an image, in white, one pixel wide."""
    canvas = image.copy()
    for mask in masks:
        mask = np.ascontiguousarray(mask, dtype=np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, WHITE, 1)
    return canvas


def panel_row(panels: Sequence[tuple[str, np.ndarray]], *, height: int = 320) -> np.ndarray:
    """Join images side by side at the same height, each with its title above.

    Args:
        panels: at least one ``(title, image)``.
        height: height of the images; smaller ones are enlarged without interpolation.

    Raises:
        ValueError: there is no panel.
    """
    return _join([_titled(title, _resize(image, height)) for title, image in panels], axis=1)


def panel_grid(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Stack rows of :func:`panel_row`; pad shorter rows with white.

    Raises:
        ValueError: there is no row.
    """
    return _join(rows, axis=0)


def wrap_panels(panels: Sequence[tuple[str, np.ndarray]], *, per_row: int = 3) -> np.ndarray:
    """Join panels into one picture, ``per_row`` in a row; see :func:`panel_row`."""
    starts = range(0, len(panels), per_row)
    return panel_grid([panel_row(panels[start : start + per_row]) for start in starts])


def write_png(path: str | Path, image: np.ndarray, *, colors: int | None = None) -> None:
    """Write an RGB image atomically; create missing folders.

    Args:
        path: the file.
        image: image to write.
        colors: at most this many colours, 2 to 256, which makes a much smaller file. None: all.

    Raises:
        OSError: the file cannot be written; the message names the file.
    """
    if colors is not None:
        reduced = Image.fromarray(image).quantize(colors, dither=Image.Dither.NONE)
        with replaced_file(path) as temporary:
            reduced.save(temporary, format='PNG', optimize=True)
        return
    ok, data = cv2.imencode('.png', cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert ok, f'{path}: cannot encode an image of shape {image.shape} as PNG'
    with replaced_file(path) as temporary:
        temporary.write_bytes(data.tobytes())


def picture_path(folder: str | Path, file_name: str | Path) -> Path:
    """Return the path of an image's picture: ``'a/1.jpg'`` -> ``<folder>/a/1.jpg.png``.

    Images that differ only in folder or suffix get different pictures. All pictures are inside
    ``folder``: an absolute name loses its root, and ``'..'`` becomes ``'__'``.

    Args:
        folder: folder of the pictures.
        file_name: path of the image, relative to the folder of the images.
    """
    path = PurePath(file_name)
    parts = ['__' if part == '..' else part for part in path.relative_to(path.anchor).parts]
    return Path(folder, *parts[:-1], f'{parts[-1]}.png')


def _put_wheel(field: np.ndarray, max_length: float) -> None:
    height, width = field.shape[:2]
    radius = max(6, min(height, width) // 10)
    frame = radius + 2
    if min(height, width) < 2 * frame + 1:
        return
    dy, dx = np.mgrid[-frame : frame + 1, -frame : frame + 1].astype(np.float32)
    lengths = np.hypot(dx, dy)
    corner = field[height - 2 * frame - 1 :, width - 2 * frame - 1 :]
    corner[lengths <= frame] = np.nan
    disc = lengths <= radius
    corner[disc] = np.stack([dx, dy], axis=-1)[disc] * (max_length / radius)


def _resize(image: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    shrinks = height < image.shape[0]
    mode = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    return cv2.resize(image, (width, height), interpolation=mode)


def _titled(title: str, image: np.ndarray) -> np.ndarray:
    font, size, thickness, margin = cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1, 6
    (text_width, text_height), baseline = cv2.getTextSize(title, font, size, thickness)
    width = max(image.shape[1], text_width + 2 * margin)
    bar = np.full((text_height + baseline + 2 * margin, width, 3), 255, dtype=np.uint8)
    cv2.putText(
        bar, title, (margin, text_height + margin), font, size, BLACK, thickness, cv2.LINE_AA
    )
    return _join([bar, image], axis=0, gap=0)


def _join(images: Sequence[np.ndarray], *, axis: int, gap: int = 8) -> np.ndarray:
    if not images:
        raise ValueError('expected at least one image, got none')
    other = 1 - axis
    size = max(image.shape[other] for image in images)
    parts = []
    for index, image in enumerate(images):
        padding = [(0, 0), (0, 0), (0, 0)]
        padding[other] = (0, size - image.shape[other])
        padding[axis] = (gap if index else 0, 0)
        parts.append(np.pad(image, padding, constant_values=255))
    return np.concatenate(parts, axis=axis)
