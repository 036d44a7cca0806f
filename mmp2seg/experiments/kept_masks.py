"""A data set several times, each with the true masks of another share of its objects.

Only the point json differs, so all shares have their images and weak maps in common::

    <data>/supervision/object-0.05/points.json

This module imports no mm package, like :mod:`mmp2seg.experiments.stage1_run`.
"""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.commands import tool_command
from mmp2seg.experiments.phases import Phase, run_phases
from mmp2seg.experiments.stage1_run import Stage1Run

# Columns of the tables, as those of :mod:`.result_tables`.
KEPT_COLUMNS = {
    'mean IoU': 'mean_iou',
    'never masked': 'mean_iou_unmasked',
    'IoU > .50': 'share_iou50',
    'IoU > .70': 'share_iou70',
    'IoU > .90': 'share_iou90',
}


@dataclass(frozen=True)
class KeptMasks:
    """The shares of objects with true masks.

    Attributes:
        shares: in the order of the table, 0..1.
        unit: ``'object'`` or ``'image'``, see
            :class:`mmp2seg.converters.kept_truth.KeptTruth`.
        truth: json of the true instances with a ``point`` each, in the folder of the data.
        tools: the folder of the tools.
    """

    shares: tuple[float, ...]
    unit: str
    truth: str
    tools: Path

    def ann_file(self, share: float) -> str:
        """Return the point json of a share, in the folder of the data."""
        return f'supervision/{self.unit}-{share:g}/points.json'

    @property
    def unmasked(self) -> str:
        """The point json whose objects without masks are compared in all rows.

        It is that of the largest share below 1. The objects of a smaller share are among its own.
        """
        return self.ann_file(max((share for share in self.shares if share < 1), default=0.0))

    def expand(self, configs: Mapping[str, Any]) -> dict[str, Any]:
        """Return every config with the points of every share, named ``config[masks=0.05]``.

        Raises:
            CommandError: a config has other data than a ``PointCocoDataset``; names it.
        """
        variants = {}
        for name, cfg in configs.items():
            for share in self.shares:
                variant = copy.deepcopy(cfg)
                for key in ('train_dataloader', 'test_dataloader'):
                    dataset = (variant.get(key) or {}).get('dataset') or {}
                    kind = str(dataset.get('type')).split('.')[-1]
                    if kind != 'PointCocoDataset':
                        raise CommandError(
                            f'--keep-masks: {name}: expected {key}.dataset to be a '
                            'PointCocoDataset, as in configs/ablations/tiny_shapes_mixed.py, got '
                            f'{kind}'
                        )
                    dataset['ann_file'] = self.ann_file(share)
                    dataset.pop('point_source', None)
                variants[f'{name}[masks={share:g}]'] = variant
        return variants

    def phases(self, data: Path, seed: int) -> list[Phase]:
        """Return the phases that write the point jsons of a seed."""
        return [
            Phase(
                f'{data.name}-{self.unit}-{share:g}',
                f'{data.name}: points, {share:g} of the {self.unit}s with true masks',
                lambda share=share: [self._command(data, share, seed)],
                (data / self.ann_file(share)).parent,
            )
            for share in self.shares
        ]

    def make(self, folders: Mapping[int, Path], logs: Path, environment: dict[str, str]) -> None:
        """Write the point jsons of every seed, unless they exist.

        Args:
            folders: folder of the data of each seed.
            logs: folder of the logs.

        Raises:
            RunError, KeyboardInterrupt: see :func:`mmp2seg.experiments.phases.run_phases`.
        """
        for seed, data in folders.items():
            for phase in self.phases(data, seed):
                run_phases([phase], logs, environment=environment)

    def judge(self, runs: Sequence[Stage1Run]) -> list[Stage1Run]:
        """Return the runs with a figure of the objects that have a mask in no share below 1."""
        return [dataclasses.replace(run, unmasked=self.unmasked) for run in runs]

    def _command(self, data: Path, share: float, seed: int) -> list[str]:
        return tool_command(
            self.tools,
            'dataset_converters/instances_to_points.py',
            *(data / self.truth, data / self.ann_file(share), '--rule', 'given'),
            *('--keep-masks', share, '--keep-by', self.unit, '--seed', seed),
        )
