"""Rules for drawing points from an object's box or mask."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from mmp2seg.datasets.point_reading import parse_point
from mmp2seg.files.json_reading import is_finite_number
from mmp2seg.ops.point_sampling import mass_center, nearest_inside, sample_inside, scatter

RULES = ('box-center', 'mass-center', 'random', 'gaussian', 'given')
CENTERS = ('mass', 'box')
_DRAWN = ('random', 'gaussian')


@dataclasses.dataclass(frozen=True)
class PointRule:
    """A rule for drawing points of an object reproducibly.

    Attributes:
        name: ``'box-center'``, the centre of the box, which may be outside the object;
            ``'mass-center'``, the pixel of the mask nearest to its centre of mass; ``'random'``, a
            random pixel of the mask, uniformly; ``'gaussian'``, drawn around a centre; ``'given'``,
            the ``point`` that the object has in the file.
        sigma: standard deviation of x and of y, for ``'gaussian'`` only.
        relative: ``sigma`` is in units of the square root of the area (of the mask for the centre
            of mass, of the box for the box centre) instead of pixels.
        center: centre of ``'gaussian'``: ``'mass'`` or ``'box'``.
        inside: with ``'gaussian'``, move the drawn position to the nearest pixel of the mask. If
            False, the position is rounded to .01 pixels and clipped to the outermost pixel centres
            of the image.
        num_points: number of points per object. Pixels of a mask are drawn without repetition if
            the mask has enough pixels.
        seed: seed of the random draws, >= 0.

    Raises:
        ValueError: the name or the centre is unknown, a number is out of range, ``sigma`` is
            missing, or the rule does not have a given option; the message names the command-line
            options.
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
                raise ValueError(f'expected --sigma >= 0 with --rule gaussian, got {self.sigma}')
        elif given := self._gaussian_options():
            raise ValueError(
                f'expected {" ".join(given)} with --rule gaussian only, got --rule {self.name}'
            )
        if self.num_points < 1 or (self.num_points > 1 and self.name not in _DRAWN):
            raise ValueError(
                f'expected --num-points 1, or more with --rule {" or ".join(_DRAWN)}, '
                f'got {self.num_points} with --rule {self.name}'
            )
        if self.seed < 0:
            raise ValueError(f'expected --seed >= 0, got {self.seed}')

    def _gaussian_options(self) -> list[str]:
        """Return the command-line options of ``'gaussian'`` that differ from their defaults."""
        given = {
            '--sigma': self.sigma is not None,
            '--relative': self.relative,
            '--center': self.center != 'mass',
            '--anywhere': not self.inside,
        }
        return [option for option, is_given in given.items() if is_given]

    @property
    def needs_mask(self) -> bool:
        """Whether the rule needs an object's mask."""
        if self.name == 'gaussian':
            return self.inside or self.center == 'mass'
        return self.name not in ('box-center', 'given')

    def describe(self) -> str:
        """Describe the rule in one line."""
        words = [self.name]
        if self.name == 'gaussian':
            unit = 'root of the area' if self.relative else 'px'
            place = 'moved inside the mask' if self.inside else 'not moved inside the mask'
            words += [f'sigma {self.sigma:g} {unit} around the centre of the {self.center}', place]
        if self.num_points > 1:
            words.append(f'{self.num_points} points per object')
        return ', '.join([*words, f'seed {self.seed}'] if self.name in _DRAWN else words)

    def draw(
        self,
        number: int,
        *,
        height: int,
        width: int,
        box: Sequence[float] | None = None,
        crop: tuple[np.ndarray, tuple[int, int]] | None = None,
        point: Sequence[float] | None = None,
    ) -> list[list[float]]:
        """Draw points ``[x, y]`` of an object, in continuous coordinates of the image.

        Args:
            number: id of the object, >= 0; the random stream depends on the id and the seed.
            height: height of the image in pixels.
            width: width of the image in pixels.
            box: COCO's ``[x, y, w, h]``, required by rules that use the box centre.
            crop: see :func:`mmp2seg.converters.segmentation_crops.crop_of_segmentation`; required
                if ``needs_mask``.
            point: ``point`` of the object, required by ``'given'``.

        Raises:
            ValueError: the point is missing or outside the image; the box is missing, has no area
                or has its centre outside the image; or the mask has no pixels.
        """
        if self.needs_mask and not crop[0].any():
            raise ValueError('its mask has no pixels')
        if self.name == 'given':
            return [_given_point(point, height=height, width=width)]
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
    """Return the centre ``[x, y]`` of a box ``[x, y, w, h]``.

    Raises:
        ValueError: it is not a box of positive area, or its centre is outside the image.
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


def _given_point(point: Sequence[float] | None, *, height: int, width: int) -> list[float]:
    x, y = parse_point(point, where='its point')
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(
            f'its point ({x:g}, {y:g}) is outside of the image, {width} x {height} pixels'
        )
    return [x, y]


def _in_image(points_xy: np.ndarray, crop: tuple[np.ndarray, tuple[int, int]]) -> list[list[float]]:
    return (points_xy + crop[1]).tolist()
