"""Generate one scene of the dataset Shapes: objects, image, maps and points."""

import dataclasses

import cv2
import numpy as np

from mmp2seg.datasets.shapes.render import (
    add_clutter,
    background,
    paint_object,
    photograph,
    random_colour,
)
from mmp2seg.ops.degradation import degrade_semantic_map
from mmp2seg.ops.point_sampling import near_center_inside, random_inside

SHAPES_CLASSES = ('disc', 'square', 'triangle', 'ring')
SHAPES_PALETTE = [(220, 60, 60), (70, 150, 230), (90, 190, 90), (240, 180, 50)]

# Form and texture identify a class. Colour is only a hint: a class has a typical hue (in degrees),
# but one of four objects has another hue.
_FAMILIES = ('spots', 'stripes', 'plain', 'spokes')
_HUES = (0.0, 210.0, 120.0, 45.0)
_SUPERSAMPLING = 4
MIN_VISIBLE_PIXELS = 25


@dataclasses.dataclass(frozen=True)
class Scene:
    """An image with its ground truth, N points (N can be 0) and a weak semantic map."""

    image: np.ndarray
    """(H, W, 3) uint8, BGR."""
    instance_map: np.ndarray
    """(H, W) int32, 0 = none, i + 1 = object i."""
    semantic_map: np.ndarray
    """(H, W) uint8, the true map: 0 background, k + 1 = class k."""
    weak_map: np.ndarray
    """(H, W) uint8, the true map degraded."""
    labels: np.ndarray
    """(N,) int64 in 0..K-1."""
    points_xy: np.ndarray
    """(N, 2) float32 continuous (x, y), the centre of a visible pixel of each object."""


@dataclasses.dataclass(frozen=True)
class _Shape:
    label: int
    centre_xy: tuple[float, float]
    radius: float
    angle: float
    flatness: float
    """Height over width before the rotation."""
    colour: np.ndarray

    def alpha(self, size: tuple[int, int]) -> np.ndarray:
        """Return the covered share of each pixel, (H, W) float32 in 0..1."""
        canvas = np.zeros((size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING), np.uint8)
        # Even-odd filling: the ring's inner contour is its hole.
        contours = [self._to_canvas(c) for c in _unit_contours(SHAPES_CLASSES[self.label])]
        cv2.fillPoly(canvas, contours, 255)
        alpha = cv2.resize(canvas, size[::-1], interpolation=cv2.INTER_AREA)
        return alpha.astype(np.float32) / 255

    def _to_canvas(self, contour: np.ndarray) -> np.ndarray:
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turned = contour * (1, self.flatness) @ np.array([[cos, sin], [-sin, cos]])
        points = (turned * self.radius + self.centre_xy) * _SUPERSAMPLING - 0.5
        return np.round(points).astype(np.int32)


def _unit_contours(name: str) -> list[np.ndarray]:
    """Return the contours [(P, 2), ...] of a class's form, scaled to about the unit circle."""

    def polygon(corners: int, radius: float = 1.0) -> np.ndarray:
        angles = 2 * np.pi * (np.arange(corners) + 0.5) / corners
        return radius * np.stack([np.cos(angles), np.sin(angles)], 1)

    if name == 'disc':
        return [polygon(48, 0.9)]
    if name == 'square':
        return [polygon(4, 1.1)]
    if name == 'triangle':
        return [polygon(3, 1.25)]
    return [polygon(48, 1.0), polygon(32, 0.45)]


def _place_shapes(size: tuple[int, int], unit: float, rng: np.random.Generator) -> list[_Shape]:
    """Place single objects, and groups of one class that touch or overlap; bottom object first."""
    if rng.random() < 0.05:
        return []
    shapes = []
    num_groups = rng.choice([1, 2, 3], p=[0.3, 0.5, 0.2])
    for _ in range(num_groups):
        label = int(rng.integers(len(SHAPES_CLASSES)))
        members = int(rng.choice([1, 2, 3, 4], p=[0.45, 0.28, 0.17, 0.10]))
        radius = unit * rng.uniform(8, 28 if members < 4 else 19)
        # In most groups the members look alike, as the animals of a herd do.
        alike = rng.random() < 0.6
        colour = random_colour(rng, hue=_HUES[label])
        centre = rng.uniform(0.05, 0.95, size=2) * size[::-1]
        for _ in range(members):
            own = radius * rng.uniform(0.75, 1.25)
            member = _Shape(
                label=label,
                centre_xy=(float(centre[0]), float(centre[1])),
                radius=own,
                angle=rng.uniform(0, 2 * np.pi),
                flatness=rng.uniform(0.75, 1.0),
                colour=np.clip(colour * rng.uniform(0.8, 1.2, size=3), 30, 240)
                if alike
                else random_colour(rng, hue=_HUES[label]),
            )
            shapes.append(member)
            direction = rng.uniform(0, 2 * np.pi)
            step = rng.uniform(1.3, 1.9) * radius
            centre = centre + step * np.array([np.cos(direction), np.sin(direction)])
            centre = np.clip(centre, 0, size[::-1])
    return [shapes[i] for i in rng.permutation(len(shapes))]


def _visible(shapes: list[_Shape], size: tuple[int, int]):
    """Drop shapes with fewer than ``MIN_VISIBLE_PIXELS`` visible pixels.

    Returns:
        the kept shapes, bottom first, their alphas, and the (H, W) int32 instance map.
    """
    alphas = [shape.alpha(size) for shape in shapes]
    while True:
        instance_map = np.zeros(size, np.int32)
        for i, alpha in enumerate(alphas):
            instance_map[alpha >= 0.5] = i + 1
        areas = np.bincount(instance_map.ravel(), minlength=len(shapes) + 1)[1:]
        if (areas >= MIN_VISIBLE_PIXELS).all():
            return shapes, alphas, instance_map
        # Drop one shape at a time, smallest first: it may have covered enough pixels of another.
        smallest = int(np.argmin(areas))
        shapes = shapes[:smallest] + shapes[smallest + 1 :]
        alphas = alphas[:smallest] + alphas[smallest + 1 :]


def generate_scene(
    index: int,
    *,
    seed: int = 0,
    size: tuple[int, int] = (128, 128),
    center_points: float = 0.6,
    weak_strength: float = 1.2,
) -> Scene:
    """Generate a scene; the result depends only on the arguments.

    Args:
        index: number of the scene, >= 0.
        seed: seed of the dataset, >= 0.
        size: (H, W) in pixels, each at least 32; objects scale with the shorter side.
        center_points: share of the objects whose point is drawn near the centre of mass; the
            others get a random pixel.
        weak_strength: strength of the degradation from true map to weak map.

    Raises:
        ValueError: the index or the seed is negative, or a side is below 32.
    """
    if index < 0 or seed < 0:
        raise ValueError(f'expected index and seed >= 0, got {index} and {seed}')
    if min(size) < 32:
        raise ValueError(f'expected a size of at least 32 x 32, got {size[0]} x {size[1]}')
    # Separate random streams, so that a change of the points or maps does not change the images.
    place_rng, paint_rng, point_rng, weak_rng = (
        np.random.default_rng([seed, index, stream]) for stream in range(4)
    )
    unit = min(size) / 128
    shapes, alphas, instance_map = _visible(_place_shapes(size, unit, place_rng), size)
    image = _paint(shapes, alphas, size, unit, paint_rng)
    labels = np.array([shape.label for shape in shapes], np.int64)
    semantic_map = np.append(0, labels + 1).astype(np.uint8)[instance_map]
    points_xy = np.zeros((len(shapes), 2), np.float32)
    for i in range(len(shapes)):
        central = point_rng.random() < center_points
        make_point = near_center_inside if central else random_inside
        points_xy[i] = make_point(instance_map == i + 1, point_rng)
    weak_map = degrade_semantic_map(
        semantic_map, num_classes=len(SHAPES_CLASSES), rng=weak_rng, strength=weak_strength
    )
    return Scene(image, instance_map, semantic_map, weak_map, labels, points_xy)


def _paint(
    shapes: list[_Shape],
    alphas: list[np.ndarray],
    size: tuple[int, int],
    unit: float,
    rng: np.random.Generator,
) -> np.ndarray:
    image = background(size, unit=unit, rng=rng)
    add_clutter(image, unit=unit, rng=rng)
    for shape, alpha in zip(shapes, alphas, strict=True):
        paint_object(
            image,
            alpha,
            family=_FAMILIES[shape.label],
            colour=shape.colour,
            centre_xy=shape.centre_xy,
            radius=shape.radius,
            angle=shape.angle,
            unit=unit,
            rng=rng,
        )
    return photograph(image, unit=unit, rng=rng)
