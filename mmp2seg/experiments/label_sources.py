"""Training labels of several kinds for segmentors: pseudo labels of stage 1 and their competitors.

This module imports no mm package, like :mod:`mmp2seg.experiments.stage1_run`.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.experiments.commands import cfg_options, tool_command
from mmp2seg.experiments.phases import Phase, run_phases
from mmp2seg.experiments.stage1_run import Stage1Run, Variant, evaluation_phase
from mmp2seg.experiments.stage2_run import Stage2Run

# Names of the kinds of labels in the rows of a table.
LABEL_KINDS = {
    'pseudo': 'pseudo labels of stage 1',
    'nearest': 'weak map, pixels assigned to the nearest point',
    'component': 'regions of the weak map with a point',
    'full': 'full masks',
}


@dataclass(frozen=True)
class LabelSource:
    """The labels of one kind for the training images of one stage-1 training.

    Attributes:
        kind: one of :data:`LABEL_KINDS`.
        stage1: the training that makes the pseudo labels; the other kinds use its data.
        variant: the config to label with.
    """

    kind: str
    stage1: Stage1Run
    variant: Variant

    @property
    def title(self) -> str:
        return f'{self.kind} labels, {self.variant.name}, seed {self.stage1.seed}'

    @property
    def path(self) -> Path | None:
        """The json of the labels; None for full masks without a known truth."""
        if self.kind == 'pseudo':
            return self.stage1.labels(self.variant)
        if self.kind == 'full':
            return self.stage1.truth(self.variant)
        return self._place / 'labels' / 'pseudo_labels.json'

    @property
    def figures_file(self) -> Path:
        """Where :meth:`evaluation_phase` writes its figures."""
        if self.kind == 'pseudo':
            return self.stage1.figures_file(self.variant)
        return self._place / 'evaluation' / 'figures.json'

    def phases(self) -> list[Phase]:
        """Return the phases that make the labels."""
        if self.kind == 'pseudo':
            return [self.stage1.training_phase(), self.stage1.label_phase(self.variant)]
        if self.kind == 'full':
            return []
        return [
            Phase(
                f'labels-{self.kind}-{self.variant.file_name}',
                f'{self.title}: write them',
                self._baseline_commands,
                self._place / 'labels',
            )
        ]

    def evaluation_phase(self, truth: Path) -> Phase:
        """Return the phase that compares the labels with the truth."""
        if self.kind == 'pseudo':
            return self.stage1.evaluation_phase(self.variant, truth)
        return evaluation_phase(
            f'evaluation-{self.kind}-{self.variant.file_name}',
            f'{self.title}: compare them with the truth',
            tools=self.stage1.tools,
            labels=self.path,
            truth=truth,
            figures_file=self.figures_file,
            match=self.variant.match,
        )

    def stage2_run(self, name: str) -> Stage2Run:
        """Return stage 2 on these labels; on pseudo labels it is the run of :attr:`stage1`.

        Args:
            name: name of the stage-2 config, see :class:`Stage2Run`.
        """
        run = dataclasses.replace(self.stage1, refine=name).stage2_run(self.variant)
        if self.kind == 'pseudo':
            return run
        labels, folder = f'{self.variant.name}-{self.kind}', self._place
        if self.path is not None and self.kind == 'full':  # the file is given: one run per file
            key = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:8]
            labels, folder = f'{labels}-{key}', folder / key
        return dataclasses.replace(run, labels=labels, folder=folder / f'refine-{name}')

    def run(self, environment: dict[str, str], *, segmentor: str | None = None) -> None:
        """Make the labels, and train and test the segmentor on them, unless finished before.

        Raises:
            RunError, KeyboardInterrupt: see :func:`mmp2seg.experiments.phases.run_phases`.
        """
        phases = self.phases()
        if segmentor is not None:
            phases += self.stage2_run(segmentor).phases()
        run_phases(phases, self.stage1.logs, environment=environment)

    @property
    def _place(self) -> Path:
        return self.stage1.folder / self.variant.file_name / f'labels-{self.kind}'

    def _baseline_commands(self) -> list[list[str]]:
        command = tool_command(
            self.stage1.tools,
            'analysis_tools/baseline_pseudo_labels.py',
            *(self.variant.config, '--rule', self.kind, '--out', self.path),
        )
        return [[*command, *cfg_options(self.stage1.data_options())]]


def label_sources(runs: Sequence[Stage1Run], kinds: Sequence[str]) -> list[LabelSource]:
    """Return the labels of these kinds for every training and every config that shares it."""
    return [
        LabelSource(kind, run, variant)
        for run in runs
        for variant in run.variants
        for kind in kinds
    ]
