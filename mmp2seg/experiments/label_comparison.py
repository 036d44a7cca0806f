"""Segmentors that train on labels of several kinds: the pseudo labels, and what they compete with.

Light to import, like :mod:`mmp2seg.experiments.chain`.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.experiments.chain import Chain, Variant
from mmp2seg.experiments.commands import cfg_options, tool_command
from mmp2seg.experiments.phases import Phase, run_phases
from mmp2seg.experiments.segmentor_run import SegmentorRun

# What the rows of a table are called by the kind of the labels.
LABEL_KINDS = {
    'pseudo': 'pseudo labels of stage 1',
    'nearest': 'weak map, shared out to the nearest points',
    'component': 'regions of the weak map that hold a point',
    'full': 'full masks',
}


@dataclass(frozen=True)
class LabelSource:
    """The labels of one kind for the training images of one stage-1 training.

    Attributes:
        kind: one of :data:`LABEL_KINDS`.
        chain: the training that makes the pseudo labels; the others have its data.
        variant: the config to label with.
    """

    kind: str
    chain: Chain
    variant: Variant

    @property
    def title(self) -> str:
        return f'{self.kind} labels, {self.variant.name}, seed {self.chain.seed}'

    @property
    def path(self) -> Path | None:
        """The json of the labels; None for full masks where no truth is known."""
        if self.kind == 'pseudo':
            return self.chain.labels(self.variant)
        if self.kind == 'full':
            return self.chain.truth(self.variant)
        return self._place / 'labels' / 'pseudo_labels.json'

    def phases(self) -> list[Phase]:
        """What makes the labels."""
        if self.kind == 'pseudo':
            return self.chain.label_phases(self.variant)
        if self.kind == 'full':
            return []
        return [
            Phase(
                f'labels-{self.kind}-{self.variant.name}',
                f'{self.title}: write them',
                self._baseline_commands,
                self._place / 'labels',
            )
        ]

    def segmentor_run(self, name: str) -> SegmentorRun:
        """Stage 2 on these labels; that of the pseudo labels is the chain's own.

        Args:
            name: of the stage-2 config, see :class:`SegmentorRun`.
        """
        run = dataclasses.replace(self.chain, refine=name).refinement(self.variant)
        if self.kind == 'pseudo':
            return run
        labels, folder = f'{self.variant.name}-{self.kind}', self._place
        if self.path is not None and self.kind == 'full':  # no phase makes them, so of each file
            key = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:8]
            labels, folder = f'{labels}-{key}', folder / key
        return dataclasses.replace(run, labels=labels, folder=folder / f'refine-{name}')

    def run(self, environment: dict[str, str], *, segmentor: str | None = None) -> None:
        """Make the labels, and train and test the segmentor on them, where that was not done yet.

        Raises:
            PhaseError, KeyboardInterrupt: as :func:`mmp2seg.experiments.phases.run_phases`.
        """
        phases = self.phases()
        if segmentor is not None:
            phases += self.segmentor_run(segmentor).phases()
        run_phases(phases, self.chain.logs, environment=environment)

    @property
    def _place(self) -> Path:
        return self.chain.folder / self.variant.name / f'labels-{self.kind}'

    def _baseline_commands(self) -> list[list[str]]:
        command = tool_command(
            self.chain.tools,
            'analysis_tools/baseline_pseudo_labels.py',
            *(self.variant.config, '--rule', self.kind, '--out', self.path),
        )
        return [[*command, *cfg_options(self.chain.data_options())]]


def label_sources(chains: Sequence[Chain], kinds: Sequence[str]) -> list[LabelSource]:
    """The labels of these kinds for every training and every config that shares it."""
    return [
        LabelSource(kind, chain, variant)
        for chain in chains
        for variant in chain.variants
        for kind in kinds
    ]
