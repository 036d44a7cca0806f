"""SeedSample: make the random transforms of a sample independent of what was loaded before."""

import random
from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmp2seg.datasets.samplers import DrawnIndex
from mmp2seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SeedSample(BaseTransform):
    """Seed Python's, numpy's and torch's random numbers by the draw of a sample.

    It must be the first transform of a training pipeline. The sampler must be one of
    :mod:`mmp2seg.datasets.samplers`; for the indices of other samplers, and of datasets that
    look indices up in a list, it does nothing.

    Keys: ``sample_idx``, as every dataset of mmengine sets it.
    """

    def transform(self, results: dict) -> dict:
        """Seed, and return ``results`` as they are."""
        index = results.get('sample_idx')
        if isinstance(index, DrawnIndex):
            seed_all(index.draw)
        return results


def seed_all(numbers: Sequence[int]) -> None:
    """Seed Python, numpy and torch by some integers >= 0; zeros at the end do not count."""
    state = np.random.SeedSequence(numbers).generate_state(4)
    random.seed(int(state[0]))
    np.random.seed(state[1])  # noqa: NPY002 - the state that transforms use
    torch.manual_seed(int(state[2]) << 32 | int(state[3]))
