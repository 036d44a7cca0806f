"""One generation of self-training: a training of stage 1, its semantic maps and pseudo labels.

This module imports no mm package, like :mod:`mmp2seg.experiments.stage1_run`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.experiments.commands import cfg_options, tool_command
from mmp2seg.experiments.phases import Phase, run_phases
from mmp2seg.experiments.stage1_run import evaluation_phase


@dataclass(frozen=True)
class GenerationDataset:
    """One of the datasets that a generation trains on.

    Attributes:
        config: config whose training data is this dataset alone and whose test writes its maps.
        weak_maps: folder of the maps that the generation trains on; None = those of the user.
        maps: folder of the maps that the generation writes.
        labels: the json of its pseudo labels.
    """

    config: Path
    weak_maps: Path | None
    maps: Path
    labels: Path


@dataclass(frozen=True)
class GenerationRun:
    """One generation: train, write semantic maps, write pseudo labels, evaluate them.

    The next generation trains on the maps. Both maps and labels are of the training images.

    Attributes:
        number: 1 for the generation that trains on the user's weak maps.
        folder: folder of all output.
        config: the config to train with.
        datasets: the datasets of its training data.
        seed: seed of the training.
        tools: the folder of the tools.
        device: ``--device`` of the tools.
        processes: number of processes of trainings and tests on this machine.
        truth: json of the true instances of the training images; None = no evaluation.
        match: how objects and instances are matched, see ``eval_pseudo_labels.py``.
    """

    number: int
    folder: Path
    config: Path
    datasets: tuple[GenerationDataset, ...]
    seed: int
    tools: Path
    device: str = 'auto'
    processes: int = 1
    truth: Path | None = None
    match: str | None = None

    @property
    def name(self) -> str:
        return f'generation{self.number}'

    @property
    def title(self) -> str:
        return f'generation {self.number}'

    @property
    def checkpoint(self) -> str:
        """Path of the last checkpoint; the training must have run."""
        return (self.folder / 'train' / 'last_checkpoint').read_text().strip()

    @property
    def figures_file(self) -> Path:
        return self.folder / 'evaluation' / 'figures.json'

    def figures(self) -> dict[str, float] | None:
        """Return the measured figures of the labels, None without a measurement or truth."""
        known = self.truth is not None and self.figures_file.is_file()
        return json.loads(self.figures_file.read_text()) if known else None

    def chain(self) -> list[Phase]:
        """Return the phases that the next generation depends on."""
        return [
            Phase(
                f'{self.name}-train',
                f'{self.title}: train',
                self._train_commands,
                self.folder / 'train',
                resumes=True,
            ),
            Phase(
                f'{self.name}-maps',
                f'{self.title}: write semantic maps',
                self._map_commands,
                self.folder / 'maps',
            ),
        ]

    def results(self) -> list[Phase]:
        """Return the phases that follow from :meth:`chain`: pseudo labels and their evaluation."""
        phases = [
            Phase(
                f'{self.name}-labels',
                f'{self.title}: write pseudo labels',
                self._label_commands,
                self.folder / 'labels',
            )
        ]
        if self.truth is not None:
            phases.append(
                evaluation_phase(
                    f'{self.name}-evaluation',
                    f'{self.title}: compare the labels with the truth',
                    tools=self.tools,
                    labels=self.datasets[0].labels,
                    truth=self.truth,
                    figures_file=self.figures_file,
                    match=self.match,
                )
            )
        return phases

    def describe(self) -> str:
        """Return the paths of the results, a line each; all phases must have run."""
        lines = [self.title]
        for dataset in self.datasets:
            lines += [
                f'  trained on   {dataset.weak_maps or "the weak maps of the config"}',
                f'  its maps     {dataset.maps}',
                f'  its labels   {dataset.labels}',
            ]
        lines.append(f'  checkpoint   {self.checkpoint}')
        return '\n'.join(lines)

    def _train_commands(self) -> list[list[str]]:
        for dataset in self.datasets:
            if dataset.weak_maps is not None and not dataset.weak_maps.is_dir():
                raise FileNotFoundError(f'{dataset.weak_maps}: no such folder')
        command = self._command('train.py', self.config, place='train')
        return [[*command, *cfg_options({'randomness.seed': self.seed})]]

    def _map_commands(self) -> list[list[str]]:
        # the folder of the maps has no other files
        return [
            self._command('test.py', dataset.config, self.checkpoint, place='logs-maps')
            for dataset in self.datasets
        ]

    def _label_commands(self) -> list[list[str]]:
        return [
            self._command(
                'generate_pseudo_labels.py',
                *(dataset.config, self.checkpoint, '--split', 'train', '--out', dataset.labels),
                place='labels/logs',
            )
            for dataset in self.datasets
        ]

    def _command(self, tool: str, *arguments: object, place: str) -> list[str]:
        options = '--work-dir', self.folder / place, '--device', self.device
        return tool_command(self.tools, tool, *arguments, *options, processes=self.processes)


def run_generations(
    runs: Sequence[GenerationRun], logs: Path, *, environment: dict[str, str]
) -> None:
    """Run what has not finished yet, one generation after the other.

    A generation's labels follow from its chain alone, so that a change of the truth, or one
    generation more, repeats no training.

    Raises:
        RunError, KeyboardInterrupt: see :func:`mmp2seg.experiments.phases.run_phases`.
    """
    chain: list[Phase] = []
    for run in runs:
        chain += run.chain()
        run_phases([*chain, *run.results()], logs, environment=environment)
