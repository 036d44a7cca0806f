"""Samplers whose indices say how a sample's random transforms are seeded.

A worker's random state depends on what it has loaded before, so a resumed training would augment
other samples otherwise than one that was not interrupted. With these samplers and
:class:`mmp2seg.datasets.transforms.SeedSample`, the randomness of a sample depends only on the
training's seed and on when the sample is drawn.
"""

from collections.abc import Iterator

from mmengine.dataset import DefaultSampler, InfiniteSampler

from mmp2seg.registry import DATA_SAMPLERS


class DrawnIndex(int):
    """Index of a sample, with what seeds its random transforms.

    ``index % length`` and ``index - start`` keep the draw, so it passes mmengine's RepeatDataset
    and ConcatDataset. It passes to worker processes.

    Args:
        index: of the sample.
        draw: integers >= 0 that say when the sample is drawn, the seed of the sampler first.
    """

    draw: tuple[int, ...]

    def __new__(cls, index: int, draw: tuple[int, ...]) -> 'DrawnIndex':
        self = super().__new__(cls, index)
        self.draw = draw
        return self

    def __getnewargs__(self) -> tuple[int, tuple[int, ...]]:
        return int(self), self.draw

    def __mod__(self, length: int) -> 'DrawnIndex':
        return DrawnIndex(int(self) % length, self.draw)

    def __sub__(self, start: int) -> 'DrawnIndex':
        return DrawnIndex(int(self) - start, self.draw)


@DATA_SAMPLERS.register_module()
class SeededInfiniteSampler(InfiniteSampler):
    """mmengine's InfiniteSampler, whose indices also have their place in the endless sequence.

    The place counts over all processes.
    """

    def _infinite_indices(self) -> Iterator[int]:
        for place, index in enumerate(super()._infinite_indices()):
            yield DrawnIndex(index, (self.seed, place))


@DATA_SAMPLERS.register_module()
class SeededSampler(DefaultSampler):
    """mmengine's DefaultSampler, whose indices also have the epoch and their place in it.

    The place counts over all processes.
    """

    def __iter__(self) -> Iterator[int]:
        for number, index in enumerate(super().__iter__()):
            place = self.rank + number * self.world_size
            yield DrawnIndex(index, (self.seed, self.epoch, place))
