"""What is measured of a stage-1 network for an image, and what it takes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

PHASES = ('test', 'train')
TOTAL = 'all'


@dataclass(frozen=True)
class FlopsCase:
    """What is measured.

    Attributes:
        config: path of a stage-1 config.
        cfg_options: settings of the config to replace, by dotted key.
        shape: (H, W) of the image; the network's input is padded as the config says.
        points: of an image.
        batch: images of a batch.
        phase: ``'test'``, inference from the image to the masks, or ``'train'``, forward pass,
            targets, losses and backward pass, without the optimizer's step.
        rounds: of propagation at inference, a network each.
    """

    config: str
    cfg_options: Mapping = field(default_factory=dict)
    shape: tuple[int, int] = (375, 500)
    points: int = 12
    batch: int = 1
    phase: str = 'test'
    rounds: tuple[int, ...] = (0, 1)

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f'expected phase in {PHASES}, got {self.phase!r}')
        for name in ('points', 'batch'):
            if getattr(self, name) < 1:
                raise ValueError(f'expected {name} >= 1, got {getattr(self, name)}')
        if min(self.shape) < 1:
            raise ValueError(f'expected a shape of at least 1 x 1, got {self.shape}')
        if not self.rounds or min(self.rounds) < 0:
            raise ValueError(f'expected rounds >= 0, got {list(self.rounds)}')


@dataclass(frozen=True)
class PartCost:
    """What a part takes for one image.

    Attributes:
        name: of :mod:`mmp2seg.analysis.flops.parts`; :data:`TOTAL`, the whole network.
        params: number of its parameters.
        macs: multiply-adds of convolutions and products of matrices.
        elementwise: other operations, see :func:`mmp2seg.analysis.flops.counter.counting`.
        seconds: median; None = not measured.
        terms: multiply-adds of the part's terms, by name.
    """

    name: str
    params: int
    macs: float
    elementwise: float
    seconds: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)

    @property
    def flops(self) -> float:
        """A multiply-add is two operations."""
        return 2 * self.macs + self.elementwise

    def as_dict(self) -> dict:
        """Plain values for a json."""
        return {**asdict(self), 'flops': self.flops}


@dataclass(frozen=True)
class NetworkCost:
    """What a network takes for one image.

    Attributes:
        name: what it is.
        input_shape: (H, W) that the backbone sees.
        embedding_shape: (D, h, w) of the affinity head, None without one.
        num_scores: that would propagate, the background's included.
        rounds: of propagation at inference.
        parts: in the order of the table, :data:`TOTAL` at the end.
    """

    name: str
    input_shape: tuple[int, int]
    embedding_shape: tuple[int, int, int] | None
    num_scores: int
    rounds: int
    parts: tuple[PartCost, ...]

    def part(self, name: str) -> PartCost:
        """The part of this name."""
        return next(part for part in self.parts if part.name == name)

    def as_dict(self) -> dict:
        """Plain values for a json."""
        return {**vars(self), 'parts': [part.as_dict() for part in self.parts]}
