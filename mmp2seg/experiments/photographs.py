"""Photographs with true masks to train and to judge on: their data, and the start.

Everything that the data depend on is in the name of their folder::

    <work dir>/photographs/<maps>-<key>/   images, points.json, WSSS_maps; truth.json, true_maps
    <work dir>/photographs/<maps>-<key>/start/   masks that need no training of stage 1

This module imports no mm package, like :mod:`mmp2seg.experiments.stage1_run`.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.analysis.tables import mean_and_spread
from mmp2seg.experiments.commands import cfg_options, tool_command
from mmp2seg.experiments.phases import Phase, run_phases
from mmp2seg.experiments.result_tables import Results, with_shares
from mmp2seg.experiments.stage1_run import Stage1Run, evaluation_phase

MAPS_KINDS = ('degraded', 'points')
# The row of the masks that each config has to beat, by the kind of the maps.
START_ROWS = {
    'degraded': 'start: nearest points on the maps',
    'points': 'start: the masks the maps are of',
}
STRENGTH = 0.8  # of degraded maps, for 70 to 83 mIoU on photographs; no method was tuned to it
SEGMENTER = Path('configs', 'point_segmenter', 'efficientnet-lite0_class-head.py')


@dataclass(frozen=True)
class Photographs:
    """Photographs with one kind of weak maps.

    Attributes:
        sources: ``TRUTH.json, IMAGES, ...``.
        maps: one of :data:`MAPS_KINDS`.
        num_classes: classes of the truth, background not included.
        key: text that identifies everything the data depend on, but the seed.
        root: folder of the data.
        tools: the folder of the tools.
        device: ``--device`` of the tools.
        strength: of degraded maps.
        segmenter: config of the segmenter; None = the default one.
        long_side, min_area: see :class:`mmp2seg.analysis.point_segmentation.truth_images
            .TruthImages`.
    """

    sources: tuple[str, ...]
    maps: str
    num_classes: int
    key: str
    root: Path
    tools: Path
    device: str = 'auto'
    strength: float = STRENGTH
    segmenter: Path | None = None
    long_side: int = 352
    min_area: int = 0

    @property
    def name(self) -> str:
        """The kind of the maps and the key."""
        return f'{self.maps}-{self.key}'

    def folder(self, seed: int) -> Path:
        """Return the folder of the data of a seed."""
        return self.root / (f'{self.name}-seed{seed}' if self.maps == 'degraded' else self.name)

    def run_on(self, run: Stage1Run) -> Stage1Run:
        """Return a run on the data of its seed."""
        return dataclasses.replace(
            run,
            data=self.folder(run.seed),
            data_truth='truth.json',
            data_true_maps='true_maps',
        )

    def start_labels(self, seed: int) -> Path:
        """Return the json of the masks that a training starts from."""
        folder = self.folder(seed)
        if self.maps == 'points':
            return folder / 'point_masks.json'
        return folder / 'start' / 'nearest.json'

    def data_phase(self, seed: int) -> Phase:
        """Return the phase that writes the folder of a seed."""
        folder = self.folder(seed)
        return Phase(
            folder.name,
            f'write the photographs, {self.maps} maps'
            + (f', seed {seed}' if self.maps == 'degraded' else ''),
            lambda: self._data_commands(folder, seed),
            folder,
        )

    def start_phases(self, seed: int, config: Path) -> list[Phase]:
        """Return the phases that make the start's masks and compare them with the truth.

        Args:
            config: config of stage 1 whose labeler finds the regions of degraded maps.
        """
        folder, labels, phases = self.folder(seed), self.start_labels(seed), []
        if self.maps == 'degraded':
            command = tool_command(
                self.tools,
                'analysis_tools/baseline_pseudo_labels.py',
                *(config, '--rule', 'nearest', '--out', labels),
            )
            command += cfg_options(
                {
                    'train_dataloader.dataset.data_root': folder,
                    'train_dataloader.dataset.ann_file': 'points.json',  # without true masks
                }
            )
            phases.append(
                Phase(
                    f'{folder.name}-start',
                    f'{START_ROWS[self.maps]}, seed {seed}: write them',
                    lambda: [command],
                    labels.parent,
                )
            )
        phases.append(
            evaluation_phase(
                f'{folder.name}-evaluation',
                f'{START_ROWS[self.maps]}, seed {seed}: compare them with the truth',
                tools=self.tools,
                labels=labels,
                truth=folder / 'truth.json',
                true_maps=folder / 'true_maps',
                figures_file=self._start_figures(seed),
                match='point_id',
            )
        )
        return phases

    def make(self, seeds: Sequence[int], environment: dict[str, str]) -> None:
        """Write the folder of every seed, unless it exists, and print the mIoU of its maps.

        Raises:
            RunError, KeyboardInterrupt: see :func:`mmp2seg.experiments.phases.run_phases`.
        """
        phases = {phase.name: phase for phase in map(self.data_phase, seeds)}
        for phase in phases.values():
            run_phases([phase], self.root / 'logs', environment=environment)
            figures = json.loads((phase.folder / 'maps.json').read_text())
            unsure = 100 * figures['ignored_share']
            print(
                f'      {phase.folder}: {figures["num_maps"]} photographs, maps of '
                f'{100 * figures["miou"]:.1f} mIoU'
                + (f', {unsure:.1f} % of the pixels not sure, counted as errors' * (unsure > 0)),
                flush=True,
            )

    def start_figures(
        self, seeds: Sequence[int], config: Path, environment: dict[str, str]
    ) -> dict[int, dict[str, float]]:
        """Make and compare the start's masks of every seed, and return their figures.

        Raises:
            RunError, KeyboardInterrupt: see :func:`mmp2seg.experiments.phases.run_phases`.
        """
        figures = {}
        for seed in seeds:
            phases = [self.data_phase(seed), *self.start_phases(seed, config)]
            run_phases(phases, self.root / 'logs', environment=environment)
            figures[seed] = with_shares(json.loads(self._start_figures(seed).read_text()))
        return figures

    def _start_figures(self, seed: int) -> Path:
        return self.folder(seed) / 'start-evaluation' / 'figures.json'

    def _data_commands(self, folder: Path, seed: int) -> list[list[str]]:
        maps, true_maps = folder / 'WSSS_maps', folder / 'true_maps'
        frame = ('--long-side', self.long_side, '--min-area', self.min_area)
        classes = ('--num-classes', self.num_classes)
        write = ('dataset_converters/coco_to_own_data.py', *self.sources, '--out', folder, *frame)
        if self.maps == 'degraded':
            draw = (
                'dataset_converters/degrade_semantic_maps.py',
                *(true_maps, maps, *classes, '--seed', seed, '--strength', self.strength),
            )
        else:
            segmenter = self.segmenter or self.tools.parent / SEGMENTER
            draw = (
                'masks.py',
                *(folder / 'images', folder / 'points.json', '--config', segmenter),
                *('--out', self.start_labels(seed), '--maps', maps, '--device', self.device),
                *cfg_options({'work_dir': folder / 'segmenter'}),  # logs of its class head
            )
        compare = (
            'analysis_tools/semantic_miou.py',
            *(maps, true_maps, *classes, '--json', folder / 'maps.json'),
        )
        return [tool_command(self.tools, *command) for command in (write, draw, compare)]


def held_out_phase(
    root: Path,
    sources: Sequence[str],
    *,
    key: str,
    tools: Path,
    long_side: int = 352,
    min_area: int = 0,
) -> Phase:
    """Return the phase that writes the photographs that a segmentor is tested on.

    Args:
        root: folder of the data; the phase's folder is in it.
        sources: ``TRUTH.json, IMAGES, ...``.
        key: text that identifies everything the data depend on.
        tools: the folder of the tools.
        long_side, min_area: see :class:`Photographs`.
    """
    folder = root / f'test-{key}'
    frame = ('--long-side', long_side, '--min-area', min_area)
    command = tool_command(
        tools, 'dataset_converters/coco_to_own_data.py', *sources, '--out', folder, *frame
    )
    return Phase(folder.name, 'write the photographs to test on', lambda: [command], folder)


def describe_losses(results: Results, labels: Mapping[int, Path], *, start: str) -> list[str]:
    """Return a line for each config whose objects have a lower mean IoU than the start's.

    Args:
        results: figures by config and seed, with those of the start.
        labels: the start's json of each seed.
        start: name of the start in ``results``.
    """
    lines = []
    for name, of_seed in results.items():
        gains = [
            figures['mean_iou'] - results[start][seed]['mean_iou']
            for seed, figures in of_seed.items()
            if figures is not None and name != start
        ]
        mean = mean_and_spread(gains)[0] if gains else None
        if mean is None or mean >= 0:
            continue
        worse = sum(gain < 0 for gain in gains)
        files = ' '.join(dict.fromkeys(str(labels[seed]) for seed in of_seed))
        lines.append(
            f'{name}: worse than its start by {-100 * mean:.1f} mean IoU (with {worse} of '
            f"{len(gains)} seeds): use the start's masks, {files}"
        )
    return lines
