"""Seed what is random in the network by the iteration."""

from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmp2seg.datasets.transforms.seeding import seed_all
from mmp2seg.registry import HOOKS


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seed Python, numpy and torch before each training iteration, by seed, iteration and rank.

    So dropout and the samplers of proposals do the same in a training that was resumed. The seed is
    the runner's (``randomness``).
    """

    priority = 'VERY_HIGH'

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed, after the data of the iteration were loaded."""
        seed_all((runner.seed, runner.iter, get_rank(), 1))  # 1: a sample has other numbers
