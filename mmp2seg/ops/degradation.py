"""Degrade a true semantic map to one as weakly supervised semantic segmentation (WSSS) produces it.

Semantic maps learnt from image-level labels (PMM on VOC: about 70 mIoU) have typical errors: ragged
borders, missing parts of objects, missed small objects, background labelled as a class, and parts
of an object labelled as another class. ``degrade_semantic_map`` adds these errors to a true map.
Thus a dataset without WSSS maps can be used under comparable conditions. The function reads only
the semantic map, and all lengths are relative to the component or to the image.
"""

import dataclasses
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mmp2seg.ops.noise import smooth_noise


@dataclasses.dataclass(frozen=True)
class DegradationLevels:
    """Amount of each error at strength 1.

    The defaults give about 70 mIoU, background included: 69 on 20 images of PASCAL VOC's ground
    truth (mean of ten seeds, standard deviation 4), 72 on 300 scenes of Shapes. *Radius* below
    means the radius of the component's largest inscribed circle.
    """

    border: float = 0.14
    """Standard deviation of the border's displacement, in radii."""
    border_cell: float = 0.7
    """Correlation length of the displacement along the border, in radii."""
    bias: float = 0.08
    """Standard deviation of the growth or shrinkage of a whole component, in radii."""
    holes: float = 0.5
    """Mean number of missing parts of a component (Poisson)."""
    hole_radius: tuple[float, float] = (0.3, 0.8)
    """Range of a missing part's size, in radii."""
    lost_small: float = 0.5
    """Probability that a small component is lost."""
    small_area: float = 0.006
    """A component is small when its area is below this share of the image."""
    false_regions: float = 1.6
    """Mean number of false regions in an image (Poisson)."""
    false_radius: tuple[float, float] = (0.04, 0.09)
    """Range of a false region's size, relative to the square root of the image's area."""
    confusion: float = 0.08
    """Probability that a part of a component is labelled as another class."""
    confusion_radius: tuple[float, float] = (0.5, 1.0)
    """Range of that part's size, in radii."""
    present: float = 0.95
    """Probability that a false region or a confused part gets one of the image's classes (WSSS
    methods know them) rather than any class."""

    def scaled(self, strength: float) -> 'DegradationLevels':
        """Multiply the displacements, rates and probabilities by ``strength``."""
        return dataclasses.replace(
            self,
            border=self.border * strength,
            bias=self.bias * strength,
            holes=self.holes * strength,
            lost_small=min(self.lost_small * strength, 1.0),
            false_regions=self.false_regions * strength,
            confusion=min(self.confusion * strength, 1.0),
        )


def degrade_semantic_map(
    semantic_map: NDArray[np.uint8],
    *,
    num_classes: int,
    rng: np.random.Generator,
    strength: float = 1.0,
    levels: DegradationLevels = DegradationLevels(),
    ignore_index: int = 255,
) -> NDArray[np.uint8]:
    """Turn a true semantic map into a weak one.

    Each 8-connected component of a class is removed, or redrawn with a displaced border, missing
    parts and sometimes a part of another class. Then false regions are drawn over the background.

    Args:
        semantic_map: (H, W) uint8, 0 background, k + 1 = class k, ``ignore_index`` ignore.
        num_classes: number K of classes, background not included.
        rng: random generator; the same state and map give the same result.
        strength: factor on all levels, >= 0; 0 returns a copy of the map.
        levels: amount of each error.
        ignore_index: value of ignored pixels, which do not change; no other pixel gets it.

    Returns:
        (H, W) uint8, a new array with the values of ``semantic_map``.

    Raises:
        ValueError: the map has another shape or type, a value is neither in 0..K nor
            ``ignore_index``, there are more than 254 classes or none, or ``strength`` is negative.
    """
    _check(semantic_map, num_classes, strength, ignore_index)
    if strength == 0 or semantic_map.size == 0:
        return semantic_map.copy()
    levels = levels.scaled(strength)
    components = _components(semantic_map, ignore_index)
    present = sorted({component.value for component in components})
    weak_map = np.zeros_like(semantic_map)
    for i in rng.permutation(len(components)):
        is_small = components[i].area < levels.small_area * semantic_map.size
        if is_small and rng.random() < levels.lost_small:
            continue
        window, true_mask = _window_of(components[i], levels)
        mask = _displaced_border(true_mask, levels, rng)
        mask &= ~_missing_parts(true_mask, levels, rng)
        values = _confused_values(true_mask, components[i].value, present, num_classes, levels, rng)
        weak_map[window][mask] = values[mask]
    _add_false_regions(weak_map, present, num_classes, levels, rng)
    weak_map[semantic_map == ignore_index] = ignore_index
    return weak_map


def _check(
    semantic_map: NDArray[np.uint8], num_classes: int, strength: float, ignore_index: int
) -> None:
    if semantic_map.ndim != 2 or semantic_map.dtype != np.uint8:
        raise ValueError(
            f'expected an (H, W) uint8 map, got {semantic_map.shape} {semantic_map.dtype}'
        )
    if not 1 <= num_classes <= 254:
        raise ValueError(f'expected 1..254 classes, got {num_classes}')
    if not strength >= 0:
        raise ValueError(f'expected strength >= 0, got {strength}')
    wrong = semantic_map[(semantic_map > num_classes) & (semantic_map != ignore_index)]
    if wrong.size:
        raise ValueError(
            f'expected values 0..{num_classes} or {ignore_index} in the map, got {wrong[0]}'
        )


# Slices of rows and columns.
_Window = tuple[slice, slice]


@dataclasses.dataclass(frozen=True)
class _Component:
    """A connected component; to save memory, its mask is cut from its class's map on demand."""

    component_map: NDArray[np.integer[Any]]
    index: int
    value: int
    box: tuple[int, int, int, int]
    """x, y, width, height."""
    area: int

    def cut(self, margin: int) -> tuple[_Window, NDArray[np.bool_]]:
        """Return a window around the component, and the component's mask in it."""
        x, y, width, height = self.box
        window = (
            slice(max(y - margin, 0), y + height + margin),
            slice(max(x - margin, 0), x + width + margin),
        )
        return window, self.component_map[window] == self.index


def _components(semantic_map: NDArray[np.uint8], ignore_index: int) -> list[_Component]:
    """Find the connected components of every class."""
    components: list[_Component] = []
    for value in np.unique(semantic_map):
        if value in (0, ignore_index):
            continue
        mask = (semantic_map == value).astype(np.uint8)
        _, component_map, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for i, (x, y, width, height, area) in enumerate(stats.tolist()):
            if i > 0:  # 0 is everything else
                box = (x, y, width, height)
                components.append(_Component(component_map, i, int(value), box, area))
    return components


def _inner_radius(mask: NDArray[np.bool_]) -> float:
    """Return the radius of the largest inscribed circle; the image's border does not limit it."""
    if mask.all():
        return 0.5 * max(mask.shape)
    return float(_distance_to_zero(mask.astype(np.uint8)).max())


def _distance_to_zero(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    return cv2.distanceTransform(mask, cv2.DIST_L2, 5).astype(np.float32, copy=False)


def _window_of(
    component: _Component, levels: DegradationLevels
) -> tuple[_Window, NDArray[np.bool_]]:
    """Return a window with room for the displaced border, and the component's mask in it."""
    radius = _inner_radius(component.cut(1)[1])
    return component.cut(int(np.ceil(3 * (levels.border + levels.bias) * radius)) + 2)


def _displaced_border(
    mask: NDArray[np.bool_], levels: DegradationLevels, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Move the border of a mask along its normal by a smooth random length."""
    radius = _inner_radius(mask)
    inside = mask.astype(np.uint8)
    # Signed distance to the border, positive inside.
    distance = (
        _distance_to_zero(inside) - _distance_to_zero(1 - inside)
        if not mask.all()
        else np.full(mask.shape, 2 * radius, np.float32)
    )
    cell = max(levels.border_cell * radius, 2)
    height, width = mask.shape
    coarse = smooth_noise((height, width), cell=cell, rng=rng)
    fine = smooth_noise((height, width), cell=cell / 2, rng=rng)
    # 0.9^2 + 0.44^2 = 1: the sum keeps the standard deviation of its terms.
    shift = levels.border * (0.9 * coarse + 0.44 * fine) + levels.bias * rng.standard_normal()
    displaced: NDArray[np.bool_] = distance + radius * shift > 0
    return displaced


def _blob(
    shape: tuple[int, ...], *, centre: NDArray[Any], radius: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw an irregular blob (H, W) of roughly ``radius`` around ``centre`` (row, column)."""
    height, width = shape
    rows = np.arange(height, dtype=np.float32)[:, None] - float(centre[0])
    cols = np.arange(width, dtype=np.float32)[None, :] - float(centre[1])
    noise = smooth_noise((height, width), cell=max(0.8 * radius, 2), rng=rng)
    blob: NDArray[np.bool_] = np.hypot(rows, cols) + 0.3 * radius * noise < radius
    return blob


def _blob_on(
    mask: NDArray[np.bool_], radius_range: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw a blob around a random pixel of the mask, sized relative to the mask's inner radius."""
    pixels = np.argwhere(mask)
    return _blob(
        mask.shape,
        centre=pixels[rng.integers(len(pixels))],
        radius=_inner_radius(mask) * rng.uniform(*radius_range),
        rng=rng,
    )


def _missing_parts(
    mask: NDArray[np.bool_], levels: DegradationLevels, rng: np.random.Generator
) -> NDArray[np.bool_]:
    missing = np.zeros_like(mask)
    for _ in range(rng.poisson(levels.holes)):
        missing |= _blob_on(mask, levels.hole_radius, rng)
    return missing


def _candidates(
    present: list[int], num_classes: int, levels: DegradationLevels, rng: np.random.Generator
) -> list[int]:
    """Return the map values to choose a wrong class from."""
    return present if rng.random() < levels.present else list(range(1, num_classes + 1))


def _confused_values(
    mask: NDArray[np.bool_],
    value: int,
    present: list[int],
    num_classes: int,
    levels: DegradationLevels,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return a component's map values (H, W): its own, sometimes with a part of another class."""
    values = np.full(mask.shape, value, np.uint8)
    if rng.random() < levels.confusion:
        candidates = [
            other for other in _candidates(present, num_classes, levels, rng) if other != value
        ]
        if candidates:
            part = _blob_on(mask, levels.confusion_radius, rng)
            values[part] = candidates[rng.integers(len(candidates))]
    return values


def _add_false_regions(
    weak_map: NDArray[np.uint8],
    present: list[int],
    num_classes: int,
    levels: DegradationLevels,
    rng: np.random.Generator,
) -> None:
    """Draw blobs of a class over the background of ``weak_map``, in place."""
    shape = weak_map.shape
    for _ in range(rng.poisson(levels.false_regions)):
        candidates = _candidates(present, num_classes, levels, rng)
        if not candidates:
            continue
        radius = np.sqrt(weak_map.size) * rng.uniform(*levels.false_radius)
        blob = _blob(shape, centre=rng.random(2) * shape, radius=radius, rng=rng)
        weak_map[blob & (weak_map == 0)] = candidates[rng.integers(len(candidates))]
