"""How a point comes out of an object's box or mask."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mmp2seg.files.json_reading import is_finite_number
from mmp2seg.ops.point_sampling import mass_center, nearest_inside, sample_inside, scatter

RULES = ('box-center', 'mass-center', 'random', 'gaussian')
CENTERS = ('mass', 'box')
_DRAWN = ('random', 'gaussian')


@dataclasses.dataclass(frozen=True)
class PointRule:
    """Rule that draws points of an object, reproducibly.

    Attributes:
        name: ``'box-center'``, the centre of the box, which may lie off the object;
            ``'mass-center'``, the pixel of the mask nearest to its centre of mass; ``'random'``, a
            pixel of the mask, each with the same probability; ``'gaussian'``, drawn about a centre.
        sigma: of ``'gaussian'`` alone: standard deviation of x and of y.
        relative: ``sigma`` counts in roots of the area (the mask's for the centre of mass, the
            box's for the box) instead of in pixels.
        center: ``'mass'`` or ``'box'``: what ``'gaussian'`` draws about.
        inside: ``'gaussian'`` takes the pixel of the mask nearest to what was drawn; otherwise what
            was drawn, to a hundredth of a pixel and at most on the outermost pixels of the image.
        num_points: points per object; of a mask's pixels they differ as long as it has that many.
        seed: of the draws, not negative.

    Raises:
        ValueError: for an unknown name or centre, numbers out of range, a sigma where nothing is
            drawn about a centre or none where it is, several points where nothing is drawn.
    """

    name: str
    sigma: float | None = None
    relative: bool = False
    center: str = 'mass'
    inside: bool = True
    num_points: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for key, value, known in (('rule', self.name, RULES), ('center', self.center, CENTERS)):
            if value not in known:
                raise ValueError(f'expected {key} to be one of {known}, got {value!r}')
        if self.name == 'gaussian':
            if self.sigma is None or not (math.isfinite(self.sigma) and self.sigma >= 0):
                raise ValueError(f"expected a sigma >= 0 for 'gaussian', got {self.sigma}")
        elif self.sigma is not None or self.relative or self.center != 'mass' or not self.inside:
            raise ValueError(
                f"expected sigma, relative, center and inside with 'gaussian' only, got {self}"
            )
        if self.num_points < 1 or (self.num_points > 1 and self.name not in _DRAWN):
            raise ValueError(
                f'expected one point, or more with one of {_DRAWN}, '
                f'got {self.num_points} with {self.name!r}'
            )
        if self.seed < 0:
            raise ValueError(f'expected a seed >= 0, got {self.seed}')

    @property
    def needs_mask(self) -> bool:
        """Whether an object's box alone is not enough."""
        if self.name == 'gaussian':
            return self.inside or self.center == 'mass'
        return self.name != 'box-center'

    def describe(self) -> str:
        """The rule in one line."""
        words = [self.name]
        if self.name == 'gaussian':
            unit = 'root of the area' if self.relative else 'px'
            place = 'pulled inside the mask' if self.inside else 'not pulled inside the mask'
            words += [f'sigma {self.sigma:g} {unit} about the centre of the {self.center}', place]
        if self.num_points > 1:
            words.append(f'{self.num_points} points an object')
        return ', '.join([*words, f'seed {self.seed}'] if self.name in _DRAWN else words)

    def draw(
        self,
        number: int,
        *,
        height: int,
        width: int,
        box: Sequence[float] | None = None,
        crop: tuple[np.ndarray, tuple[int, int]] | None = None,
    ) -> list[list[float]]:
        """Points ``[x, y]`` of an object, continuous coordinates of the image.

        Args:
            number: id of the object, not negative: its random stream comes from it and the seed.
            height: of the image.
            width: of the image.
            box: COCO's ``[x, y, w, h]``, where the rule looks at it.
            crop: see :func:`mmp2seg.converters.segmentation_crops.crop_of_segmentation`; given if
                ``needs_mask``.

        Raises:
            ValueError: no box where one is needed, none of positive area, its centre outside of
                the image, or a mask without pixels.
        """
        if self.needs_mask and not crop[0].any():
            raise ValueError('its mask has no pixels')
        if self.name == 'box-center':
            return [box_center(box, height=height, width=width)]
        if self.name == 'mass-center':
            return _in_image(nearest_inside(crop[0], mass_center(crop[0])[None]), crop)
        rng = np.random.default_rng([self.seed, number])
        if self.name == 'random':
            return _in_image(sample_inside(crop[0], rng, count=self.num_points), crop)
        return self._draw_gaussian(rng, height, width, box, crop)

    def _draw_gaussian(
        self,
        rng: np.random.Generator,
        height: int,
        width: int,
        box: Sequence[float] | None,
        crop: tuple[np.ndarray, tuple[int, int]] | None,
    ) -> list[list[float]]:
        origin = np.array(crop[1] if crop else (0, 0))
        if self.center == 'box':
            center_xy = box_center(box, height=height, width=width) - origin
            area = box[2] * box[3]
        else:
            center_xy, area = mass_center(crop[0]), np.count_nonzero(crop[0])
        sigma = self.sigma * (math.sqrt(area) if self.relative else 1)
        drawn = scatter(center_xy, rng, sigma=sigma, count=self.num_points)
        if self.inside:
            return _in_image(nearest_inside(crop[0], drawn), crop)
        return np.clip(drawn + origin, 0.5, [width - 0.5, height - 0.5]).round(2).tolist()


def box_center(box: Sequence[float] | None, *, height: int, width: int) -> list[float]:
    """Centre ``[x, y]`` of a box ``[x, y, w, h]``.

    Raises:
        ValueError: it is no box of positive area, or its centre lies outside of the image.
    """
    is_box = isinstance(box, list | tuple) and len(box) == 4
    if not is_box or not all(map(is_finite_number, box)):
        raise ValueError(f'expected a bbox of four numbers x, y, w, h, got {box!r:.60}')
    if box[2] <= 0 or box[3] <= 0:
        raise ValueError(f'its bbox has no area: {list(box)}')
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(
            f'the centre ({x:g}, {y:g}) of its bbox is outside of the image, '
            f'{width} x {height} pixels'
        )
    return [x, y]


def _in_image(points_xy: np.ndarray, crop: tuple[np.ndarray, tuple[int, int]]) -> list[list[float]]:
    return (points_xy + crop[1]).tolist()
