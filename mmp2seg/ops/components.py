"""Find the regions of a semantic map and assign points to them.

A region is an 8-connected component of the pixels of one class.
"""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmp2seg.ops import components_fused

# Value of ignored pixels in semantic maps.
IGNORE = 255
# Points times pixels that are compared at a time.
_BLOCK_ELEMENTS = 1 << 22


class Regions(NamedTuple):
    """The regions of a semantic map.

    Attributes:
        region_map: ``(H, W)`` int32, 0 = none, ``1..R`` the regions.
        labels: ``(R,)`` int64, the class ``0..K-1`` of each region.
        areas: ``(R,)`` int64, the pixels of each region.
    """

    region_map: Tensor
    labels: Tensor
    areas: Tensor

    def to(self, device: torch.device | str) -> 'Regions':
        """Copy the regions to a device."""
        return Regions(*(values.to(device) for values in self))


def find_regions(semantic_map: npt.NDArray[np.integer], labels: npt.NDArray[np.integer]) -> Regions:
    """Find the connected components of the classes in ``labels``.

    Args:
        semantic_map: ``(H, W)`` integers, 0 background, ``k + 1`` class ``k``, 255 ignore.
        labels: ``(N,)`` classes ``0..K-1``, such as the class of each point; may have repeats.

    Returns:
        Regions: on the CPU, numbered class by class; no regions for empty ``labels``.
    """
    region_map = np.zeros(semantic_map.shape, dtype=np.int32)
    region_labels: list[int] = []
    areas: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for label in np.unique(np.asarray(labels, dtype=np.int64)).tolist():
        mask = (semantic_map == label + 1).view(np.uint8)
        left, top, width, height = cv2.boundingRect(mask)
        if width == 0:
            continue
        window = (slice(top, top + height), slice(left, left + width))
        count, components, stats, _ = cv2.connectedComponentsWithStats(mask[window], connectivity=8)
        # OpenCV's component 0 is everything else
        numbers = len(region_labels) + np.arange(count, dtype=np.int32)
        numbers[0] = 0
        # mode='clip' skips the bounds check of every index
        region_map[window] += numbers.take(components, mode='clip')
        region_labels += [label] * (count - 1)
        areas.append(stats[1:, cv2.CC_STAT_AREA].astype(np.int64))
    return Regions(
        torch.from_numpy(region_map),
        torch.tensor(region_labels, dtype=torch.int64),
        torch.from_numpy(np.concatenate(areas)),
    )


def find_regions_of_batch(semantic_maps: Tensor, labels: Tensor) -> Regions:
    """Find the regions of a batch, as :func:`find_regions` does.

    On a GPU where the kernels of :mod:`mmp2seg.ops.components_fused` run, the host does not wait.
    Elsewhere, OpenCV finds them on the CPU.

    Args:
        semantic_maps: ``(B, H, W)`` integers, see :func:`find_regions`.
        labels: ``(B, N)`` int64 classes; -1 is padding.

    Returns:
        Regions: ``(B, H, W)``, ``(B, R)`` and ``(B, R)``, on the device of the maps; labels of -1
        and areas of 0 for numbers that are no region, such as padding. The kernels number regions
        by their first pixels.
    """
    maps = semantic_maps.int()
    if components_fused.supports(maps):
        return _find_regions_fused(maps, labels)
    on_cpu = zip(semantic_maps.byte().cpu().numpy(), labels.cpu().numpy(), strict=True)
    pairs = [(one, of_image[of_image >= 0]) for one, of_image in on_cpu]
    threads = _num_threads(maps)
    if threads == 1:
        found = [find_regions(*pair) for pair in pairs]
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(lambda pair: find_regions(*pair), pairs))
    return pad_regions(found).to(maps.device)


def pad_regions(regions: Sequence[Regions]) -> Regions:
    """Join the regions of images to those of a batch, see :func:`find_regions_of_batch`."""
    padded = [
        pad_sequence(values, batch_first=True, padding_value=padding)
        for values, padding in (
            ([of_image.labels for of_image in regions], -1),
            ([of_image.areas for of_image in regions], 0),
        )
    ]
    return Regions(torch.stack([of_image.region_map for of_image in regions]), *padded)


def _find_regions_fused(semantic_maps: Tensor, labels: Tensor) -> Regions:
    flat = semantic_maps.flatten(1).long()
    wanted = torch.zeros(len(flat), IGNORE + 1, dtype=torch.bool, device=flat.device)
    wanted.scatter_(1, labels + 1, True)
    wanted[:, 0] = wanted[:, IGNORE] = False  # background, which is also where padding wrote
    values = (flat * wanted.gather(1, flat)).int().view(semantic_maps.shape)
    first, areas = components_fused.find_parts(values)
    is_first = first.flatten(1) == torch.arange(flat.shape[1], device=flat.device)
    return Regions(
        first + 1,
        torch.where(is_first, values.flatten(1).long() - 1, -1),
        areas.flatten(1).long(),
    )


def _num_threads(maps: Tensor) -> int:
    """Return 1, or one thread per core for maps of another device, which waits for them."""
    return 1 if maps.device.type == 'cpu' else min(len(maps), os.cpu_count() or 1)


def regions_of_points(
    points_xy: Tensor,
    labels: Tensor,
    regions: Regions,
    *,
    min_area: int = 0,
    max_snap_distance: float = 0.0,
) -> Tensor:
    """Find the region that each point belongs to, without a device sync.

    A point belongs to the region of its class that contains its pixel. If there is none, the point
    belongs to the region of its class with the nearest pixel centre, if that is at most
    ``max_snap_distance`` away. Among equally near pixels, the first in row order wins.

    ``...`` is nothing, or the images of a batch, padded to one number of points and of regions.

    Args:
        points_xy: ``(..., N, 2)`` floats ``(x, y)``, all inside the map, except padding.
        labels: ``(..., N)`` int64, the class ``0..K-1`` of each point; -1 for padding.
        regions: the regions of the map, on the points' device; of a batch, ``(..., H, W)`` and
            ``(..., R)``, with labels of -1 for padding.
        min_area: regions with fewer pixels get no points.
        max_snap_distance: in pixels; 0 disables snapping.

    Returns:
        Tensor: ``(..., N)`` int64 region of each point, 0 = none.
    """
    kept_labels = regions.labels.masked_fill(regions.areas < min_area, -1)
    label_of_region = F.pad(kept_labels, (1, 0), value=-1)  # by number
    points_xy = points_xy.double()
    height, width = regions.region_map.shape[-2:]
    cols, rows = points_xy.floor().long().unbind(-1)
    place = rows.clamp(0, height - 1) * width + cols.clamp(0, width - 1)
    flat = regions.region_map.flatten(-2)
    own = flat.gather(-1, place).long()
    own = own * ((label_of_region.gather(-1, own) == labels) & (labels >= 0))
    if max_snap_distance <= 0 or not points_xy.numel():
        return own
    window = math.prod(_window((height, width), max_snap_distance))
    step = max(_BLOCK_ELEMENTS // (window * (points_xy[..., 0, 0].numel())), 1)
    nearest = [
        _nearest_regions(*block, regions.region_map, label_of_region, max_snap_distance)
        for block in zip(
            torch.split(points_xy, step, -2), torch.split(labels, step, -1), strict=True
        )
    ]
    return torch.where(own > 0, own, torch.cat(nearest, -1))


def keep_connected(
    instance_maps: Tensor, points_xy: Tensor, *, threads: int | None = None
) -> Tensor:
    """Keep of each instance the 8-connected part with its point.

    Where the point's pixel is not of its instance, or is a part of one pixel, the largest part
    stays: there, the point lies in another object's area. Among equally large parts, it is the one
    whose first pixel comes first in row order. On a GPU where the kernels of
    :mod:`mmp2seg.ops.components_fused` run, the host does not wait. Elsewhere, OpenCV finds the
    parts on the CPU, with the same result.

    Args:
        instance_maps: ``(B, H, W)`` int32, 0 = none, ``n + 1`` = point ``n`` of the image.
        points_xy: ``(B, N, 2)`` floats on the device of the maps. Images with fewer points have
            rows outside of the frame at the end, which own no pixel.
        threads: of the CPU, by default 1, and one per core for maps on another device, which waits
            for them.

    Returns:
        Tensor: maps of the same form, on the same device.
    """
    if components_fused.supports(instance_maps):
        return components_fused.keep_connected(instance_maps, points_xy)
    maps = instance_maps.to('cpu', copy=True).numpy()
    cells = points_xy.detach().cpu().floor().long().numpy()
    threads = threads or _num_threads(instance_maps)
    if threads == 1 or len(maps) < 2:
        for pair in zip(maps, cells, strict=True):
            _keep_connected(*pair)
    else:
        with ThreadPoolExecutor(min(len(maps), threads)) as pool:
            list(pool.map(_keep_connected, maps, cells))
    return torch.from_numpy(maps).to(instance_maps.device)


def _keep_connected(instances: npt.NDArray[np.int32], cells: npt.NDArray[np.int64]) -> None:
    """Set to 0, in place, what is not connected with the cell ``(column, row)`` of its point."""
    for number, box in enumerate(ndimage.find_objects(instances), 1):
        if box is None:
            continue
        mask = instances[box] == number
        # OpenCV's component 0 is everything else
        count, parts, stats, _ = cv2.connectedComponentsWithStats(
            mask.view(np.uint8), connectivity=8
        )
        if count < 3:
            continue
        sizes = stats[1:, cv2.CC_STAT_AREA]
        column, row = cells[number - 1]
        place = row - box[0].start, column - box[1].start
        inside = all(0 <= at < side for at, side in zip(place, parts.shape, strict=True))
        part = parts[place] if inside else 0
        if part == 0 or (sizes[part - 1] == 1 and sizes.max() > 1):
            part = _largest_part(parts, sizes)
        instances[box][mask & (parts != part)] = 0


def _largest_part(parts: npt.NDArray[np.int32], sizes: npt.NDArray[np.int32]) -> int:
    """Return the number of the largest part, of equals the first in row order.

    Args:
        parts: ``(h, w)``, 0 = none.
        sizes: ``(n,)``, the pixels of parts ``1..n``, whose order is OpenCV's.
    """
    is_largest = np.append(False, sizes == sizes.max())
    if is_largest.sum() == 1:
        return int(is_largest.argmax())
    return int(parts.flat[is_largest[parts].argmax()])


def _window(regions_shape: tuple[int, int], max_distance: float) -> tuple[int, int]:
    """Height and width of a window with all pixels in reach of a point; at most the map's."""
    height, width = regions_shape
    reach = math.ceil(min(max_distance, height + width)) + 1
    return min(2 * reach + 1, height), min(2 * reach + 1, width)


def _nearest_regions(
    points_xy: Tensor,
    labels: Tensor,
    region_map: Tensor,
    label_of_region: Tensor,
    max_distance: float,
) -> Tensor:
    """Region of the nearest pixel of each point's class within a distance, ``(..., N)`` int64."""
    height, width = region_map.shape[-2:]
    window_height, window_width = _window((height, width), max_distance)
    cols, rows = points_xy.floor().long().unbind(-1)
    top = (rows - window_height // 2).clamp(0, height - window_height)
    left = (cols - window_width // 2).clamp(0, width - window_width)
    # All pixels of a window around each point, (..., N, S) each, in row order.
    near_rows = top[..., None] + torch.arange(window_height, device=top.device)
    near_cols = left[..., None] + torch.arange(window_width, device=top.device)
    near_rows = near_rows.repeat_interleave(window_width, dim=-1)
    near_cols = near_cols.repeat(*(1,) * (near_cols.dim() - 1), window_height)
    places = (near_rows * width + near_cols).flatten(-2)
    numbers = region_map.flatten(-2).gather(-1, places).long()
    found = label_of_region.gather(-1, numbers).view(near_rows.shape)
    numbers = numbers.view(near_rows.shape)
    x, y = points_xy[..., :1], points_xy[..., 1:]
    squared = (near_cols + 0.5 - x).square() + (near_rows + 0.5 - y).square()
    # not the label of padding, which is that of no region
    candidate = (found == labels[..., None]) & (labels >= 0)[..., None]
    candidate &= squared <= max_distance**2
    squared = squared.masked_fill(~candidate, torch.inf)
    is_nearest = candidate & (squared == squared.amin(dim=-1, keepdim=True))
    place = torch.arange(is_nearest.shape[-1], device=top.device)
    first = place.where(is_nearest, is_nearest.shape[-1] - 1).amin(dim=-1, keepdim=True)
    return (numbers * candidate).gather(-1, first)[..., 0]
