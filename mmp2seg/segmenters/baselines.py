"""Baselines without a network: discs, watershed, GrabCut, and the nearest-point split of a map.

The functions turn the points of an image into an instance map. :class:`PointBaseline` and
:class:`NearestSplit` give them the interface of
:class:`~mmp2seg.segmenters.point_segmentation.PointSegmentationMethod`.

Dimensions: ``H, W`` pixels of the image; ``n`` points; ``m`` clicks on background.
"""

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from scipy.spatial import KDTree

from mmp2seg.codecs import InstanceDecoder
from mmp2seg.ops.coords import misplaced_points, pixel_centers, points_to_pixels
from mmp2seg.ops.grouping import nearest_point
from mmp2seg.ops.image_edge import onto_last_pixel
from mmp2seg.registry import TASK_UTILS
from mmp2seg.segmenters.point_segmentation import PointSegmentation, PointSegmentationMethod

Image = npt.NDArray[np.uint8]
Points = npt.NDArray[np.floating[Any]]
InstanceMap = npt.NDArray[np.int32]

# Radius of a watershed seed, as a share of the distance to the next point.
_WATERSHED_SEED = 0.1
# The same for GrabCut: a disc that is the object, and one in which the object is probable.
_GRABCUT_SEED, _GRABCUT_PROBABLE = 0.25, 0.5
_GRABCUT_ITERATIONS = 2
# Length of OpenCV's parameters of a Gaussian mixture.
_GRABCUT_MODEL = 65


def next_distances(points_xy: Points, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the distance of each point to the next one.

    Distances are at least 8 pixels, so that two clicks on one spot get masks, and at most half the
    long side of the image. That is also the distance of a single point.

    Args:
        points_xy: ``(n, 2)`` floats.
        size: ``(H, W)`` of the image.

    Returns:
        np.ndarray: ``(n,)`` float64.
    """
    farthest = 0.5 * max(size)
    if len(points_xy) < 2:
        return np.full(len(points_xy), farthest)
    distances, _ = KDTree(points_xy).query(points_xy, k=2)
    nearest: npt.NDArray[np.float64] = np.clip(distances[:, 1], min(8.0, farthest), farthest)
    return nearest


def discs(image_rgb: Image, *, points_xy: Points, background_xy: Points) -> InstanceMap:
    """Draw a disc around each point, with half the distance to the next point as radius.

    The radius is at most the median of the image's distances, so that an isolated point does not
    get a disc far larger than the others. A pixel can only be in the disc of its nearest point.

    Args:
        image_rgb: ``(H, W, 3)`` uint8; only its size is used.
        points_xy: ``(n, 2)`` floats, continuous ``(x, y)``, all inside the image.
        background_xy: ``(m, 2)`` floats, all inside the image; their discs are background.

    Returns:
        np.ndarray: ``(H, W)`` int32, 0 = none, ``k + 1`` = point ``k``.
    """
    size = image_rgb.shape[:2]
    places = np.concatenate([points_xy, background_xy])
    distances = next_distances(places, size)
    radii = np.minimum(0.5 * distances, np.median(distances)) if len(places) else distances
    return _without_background(_draw_discs(places, radii, size), len(points_xy))


def watershed(image_rgb: Image, *, points_xy: Points, background_xy: Points) -> InstanceMap:
    """Flood the image from the points, and from its border as background.

    OpenCV's watershed (Meyer 1992) floods pixels in the order of their colour difference to a
    flooded neighbour. The image is smoothed with a standard deviation of 1 pixel. A seed is a disc
    with a tenth of the distance to the next point as radius.

    Args:
        image_rgb: ``(H, W, 3)`` uint8.
        points_xy: ``(n, 2)`` floats, continuous ``(x, y)``, all inside the image.
        background_xy: ``(m, 2)`` floats, all inside the image; they are seeds of background.

    Returns:
        np.ndarray: ``(H, W)`` int32, 0 = none, ``k + 1`` = point ``k``.
    """
    size = image_rgb.shape[:2]
    places = np.concatenate([points_xy, background_xy])
    seeds = _draw_discs(places, _WATERSHED_SEED * next_distances(places, size), size)
    border = len(places) + 1
    seeds[[0, -1]] = border
    seeds[:, [0, -1]] = border
    # in reverse, so that the first of several points in a pixel keeps it
    rows, cols = points_to_pixels(places)[::-1].T
    seeds[rows, cols] = np.arange(len(places), 0, -1)
    # OpenCV replaces the outermost seeds by -1, so it gets a larger frame
    seeds = np.pad(seeds, 1, constant_values=border)
    smooth = cv2.GaussianBlur(image_rgb, (0, 0), 1)
    smooth = cv2.copyMakeBorder(smooth, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    flooded = cv2.watershed(smooth, seeds)[1:-1, 1:-1]
    # -1 are the lines between basins; each of their pixels goes to the nearest basin
    nearest = ndimage.distance_transform_edt(
        flooded < 1, return_distances=False, return_indices=True
    )
    return _without_background(flooded[tuple(nearest)], len(points_xy))


def grabcut(image_rgb: Image, *, points_xy: Points, background_xy: Points) -> InstanceMap:
    """Cut out each object with GrabCut (Rother et al. 2004), in a window around its point.

    With the distance R to the next point: the object is certain within R / 4 and probable within
    R / 2 of its point; beyond R, and at all other points, background is certain. Only the part of
    the cut that is connected with the point is kept. A pixel of several cuts goes to the nearest
    point. The result is deterministic; OpenCV's random state is set.

    Args:
        image_rgb: ``(H, W, 3)`` uint8.
        points_xy: ``(n, 2)`` floats, continuous ``(x, y)``, all inside the image.
        background_xy: ``(m, 2)`` floats, all inside the image; background is certain there.

    Returns:
        np.ndarray: ``(H, W)`` int32, 0 = none, ``k + 1`` = point ``k``.
    """
    height, width = image_rgb.shape[:2]
    places = np.concatenate([points_xy, background_xy])
    pixels = points_to_pixels(places)
    instance_map = np.zeros((height, width), np.int32)
    nearest = np.full((height, width), np.inf)
    distances = next_distances(places, (height, width))
    for index, (place, (row, col)) in enumerate(zip(points_xy, pixels)):
        reach = int(np.ceil(distances[index])) + 2
        top, left = max(row - reach, 0), max(col - reach, 0)
        window = slice(top, row + reach + 1), slice(left, col + reach + 1)
        crop = np.ascontiguousarray(image_rgb[window])
        rows, cols = np.ogrid[: crop.shape[0], : crop.shape[1]]
        distance = np.hypot(cols + left + 0.5 - place[0], rows + top + 0.5 - place[1])
        trimap = _grabcut_trimap(distance / distances[index], pixels - (top, left), index)
        mask = _connected(_cut(crop, trimap), row - top, col - left)
        mask &= distance < nearest[window]
        nearest[window][mask] = distance[mask]
        instance_map[window][mask] = index + 1
    return instance_map


# Function of each baseline by the name of its rule.
BASELINES: dict[str, Callable[..., InstanceMap]] = {
    'discs': discs,
    'watershed': watershed,
    'grabcut': grabcut,
}


@TASK_UTILS.register_module()
class PointBaseline:
    """A baseline that finds masks by colour or distance.

    Points outside the image, and points at the place and class of an earlier one, get no mask.
    The score of a mask is 1, that of a missing mask 0.

    Args:
        rule: a key of :data:`BASELINES`.

    Raises:
        ValueError: ``rule`` is unknown.
    """

    def __init__(self, *, rule: str) -> None:
        if rule not in BASELINES:
            raise ValueError(f'expected rule to be one of {tuple(BASELINES)}, got {rule!r}')
        self.rule = rule

    def __call__(
        self,
        image_rgb: Image,
        *,
        points_xy: Points,
        labels: npt.NDArray[np.integer[Any]],
        num_classes: int,
        background_xy: Points | None = None,
    ) -> PointSegmentation:
        """Segment an image; see ``PointSegmentationMethod``."""
        size = image_rgb.shape[:2]
        points_xy = onto_last_pixel(points_xy, *size)
        labels = np.asarray(labels, np.int64)
        background_xy = np.asarray([] if background_xy is None else background_xy, np.float64)
        background_xy = onto_last_pixel(background_xy, *size)
        inside = misplaced_points(background_xy, np.zeros(len(background_xy)), *size) == ''
        sound = np.flatnonzero(misplaced_points(points_xy, labels, *size) == '')
        found = np.zeros(size, np.int32)
        if len(sound):
            found = BASELINES[self.rule](
                image_rgb, points_xy=points_xy[sound], background_xy=background_xy[inside]
            )
        numbers = np.concatenate([[0], sound + 1]).astype(np.int32)
        instance_map = numbers[found]
        values = np.concatenate([[0], labels + 1]).astype(np.uint8)
        return _segmentation(instance_map, values[instance_map], len(labels))


@TASK_UTILS.register_module()
class NearestSplit:
    """Split a semantic map among the points: each pixel of a region goes to its nearest point.

    This is the decoder's grouping ``'nearest'``. A region is an 8-connected component of the pixels
    of a class; a point up to 8 pixels from its region still belongs to it. The score of a mask is
    1, that of a missing mask 0.

    Args:
        method: a method, or its config, whose semantic map is split. None: the map is an argument
            of the call.

    Attributes:
        uses_semantic_map: whether the call needs the argument ``semantic_map``.
    """

    def __init__(
        self, *, method: PointSegmentationMethod | Mapping[str, Any] | None = None
    ) -> None:
        self.method = TASK_UTILS.build(dict(method)) if isinstance(method, Mapping) else method
        self.uses_semantic_map = method is None
        self._decoder = InstanceDecoder(
            labeler=dict(type='mmp2seg.PointPseudoLabeler'), grouping='nearest'
        )

    def __call__(
        self,
        image_rgb: Image,
        *,
        points_xy: Points,
        labels: npt.NDArray[np.integer[Any]],
        num_classes: int,
        background_xy: Points | None = None,
        semantic_map: npt.NDArray[np.uint8] | None = None,
    ) -> PointSegmentation:
        """Segment an image; see ``PointSegmentationMethod``.

        Args:
            image_rgb: ``(H, W, 3)`` uint8; given to the method.
            points_xy: ``(n, 2)`` floats.
            labels: ``(n,)`` integers ``0..K-1``.
            num_classes: ``K``.
            background_xy: ``(m, 2)`` floats; given to the method.
            semantic_map: ``(H, W)`` uint8, 0 background, ``k + 1`` class ``k``, 255 no prediction.

        Raises:
            ValueError: there is neither a method nor a map.
        """
        if self.method is not None:
            result = self.method(
                image_rgb,
                points_xy=points_xy,
                labels=labels,
                num_classes=num_classes,
                background_xy=background_xy,
            )
            semantic_map = result.semantic_map
            if result.semantic_argmax is not None:
                semantic_map = result.semantic_argmax
        if semantic_map is None:
            raise ValueError('expected a semantic map, got none')
        points_xy = np.asarray(points_xy, np.float64).reshape(-1, 2)
        instances = self._decoder.cut(
            torch.from_numpy(semantic_map).long(),
            torch.from_numpy(points_xy),
            torch.from_numpy(np.asarray(labels, np.int64)),
        )
        instance_map = np.zeros(semantic_map.shape, np.int32)
        for mask, index in zip(instances.masks.numpy(), instances.kept.tolist()):
            instance_map[mask] = index + 1
        return _segmentation(instance_map, semantic_map, len(labels))


def _draw_discs(
    places_xy: Points, radii: npt.NDArray[np.float64], size: tuple[int, int]
) -> InstanceMap:
    """Draw discs around ``(n, 2)`` places; return ``(H, W)`` int32, 0 = none, 1..n."""
    places = torch.from_numpy(places_xy)
    nearest = nearest_point(
        pixel_centers(*size),
        places,
        position_groups=torch.ones(size, dtype=torch.int32),
        point_groups=torch.ones(len(places), dtype=torch.int64),
    ).numpy()
    if not len(places):
        return nearest
    x, y = places_xy[nearest - 1].transpose(2, 0, 1)
    rows, cols = np.ogrid[: size[0], : size[1]]
    inside = np.hypot(cols + 0.5 - x, rows + 0.5 - y) <= radii[nearest - 1]
    drawn: InstanceMap = np.where(inside, nearest, 0).astype(np.int32)
    return drawn


def _without_background(place_map: InstanceMap, num_points: int) -> InstanceMap:
    """Set the numbers above ``num_points`` to 0: they are clicks on background, or the border."""
    kept: InstanceMap = np.where(place_map > num_points, 0, place_map).astype(np.int32)
    return kept


def _grabcut_trimap(
    relative_distance: npt.NDArray[np.float64], pixels: npt.NDArray[np.int64], index: int
) -> npt.NDArray[np.uint8]:
    """Return OpenCV's labels of a window from the distance to the point in units of R.

    Args:
        relative_distance: ``(h, w)`` distance of the pixels from point ``index``.
        pixels: ``(n + m, 2)`` row and column of all points in the window's frame, also outside it.
        index: the point to cut out.
    """
    height, width = relative_distance.shape
    trimap = np.full((height, width), cv2.GC_BGD, np.uint8)
    trimap[relative_distance <= 1] = cv2.GC_PR_BGD
    trimap[relative_distance <= _GRABCUT_PROBABLE] = cv2.GC_PR_FGD
    trimap[relative_distance <= _GRABCUT_SEED] = cv2.GC_FGD
    rows, cols = pixels.T
    inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
    trimap[rows[inside], cols[inside]] = cv2.GC_BGD
    trimap[tuple(pixels[index])] = cv2.GC_FGD
    return trimap


def _cut(crop: Image, trimap: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the object's pixels as 1; the seed alone where nothing separates it."""
    is_object = trimap & 1 == 1
    if is_object.all() or not is_object.any():
        return (trimap == cv2.GC_FGD).astype(np.uint8)
    cv2.setRNGSeed(0)
    models = np.zeros((1, _GRABCUT_MODEL)), np.zeros((1, _GRABCUT_MODEL))
    cut, *_ = cv2.grabCut(crop, trimap, None, *models, _GRABCUT_ITERATIONS, cv2.GC_INIT_WITH_MASK)
    return (cut & 1).astype(np.uint8)  # GC_FGD is 1, GC_PR_FGD 3


def _connected(mask: npt.NDArray[np.uint8], row: int, col: int) -> npt.NDArray[np.bool_]:
    """Return the 8-connected part of a mask at one of its pixels."""
    _, components = cv2.connectedComponents(mask)
    part: npt.NDArray[np.bool_] = components == components[row, col]
    return part


def _segmentation(
    instance_map: InstanceMap, semantic_map: npt.NDArray[np.uint8], num_points: int
) -> PointSegmentation:
    areas = np.bincount(instance_map.ravel(), minlength=num_points + 1)[1:]
    return PointSegmentation(instance_map, semantic_map, (areas > 0).astype(np.float32))
