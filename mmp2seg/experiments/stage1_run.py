"""One training of stage 1 and what follows for each config that shares it: labels, their
evaluation, and a segmentor trained on them.

This module imports no mm package, so that worker processes start fast.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.experiments.commands import cfg_options, tool_command
from mmp2seg.experiments.phases import Phase, file_name, run_phases
from mmp2seg.experiments.stage2_run import Stage2Run


@dataclass(frozen=True)
class Variant:
    """A config to label with.

    Attributes:
        name: name of the config in tables.
        config: file with the whole config.
        truth: json of true instances; None = its pseudo labels are not evaluated.
        match: how objects and instances are matched; None = the default of
            ``eval_pseudo_labels.py``.
    """

    name: str
    config: Path
    truth: Path | None = None
    match: str | None = None

    @property
    def file_name(self) -> str:
        """The name for folders and logs."""
        return file_name(self.name)


@dataclass(frozen=True)
class Stage1Run:
    """One training with one seed, and what follows from it.

    Attributes:
        config: the config to train with.
        variants: the configs that share the training.
        folder: folder of all output.
        seed: seed of the training.
        tools: the folder of the tools.
        device: ``--device`` of the tools.
        data: folder of a dataset that replaces the data of the configs, of Shapes by default.
        data_truth: json of the true instances, in ``data``.
        data_true_maps: folder of the true semantic maps, in ``data``, for the mIoU of the labels;
            None = it is not measured.
        unmasked: point json in ``data``; the objects without true masks in it get a figure of their
            own. None = the objects of the labels.
        refine: name of the stage-2 config that trains on the labels, see :meth:`stage2_run`; None =
            no stage 2.
    """

    config: Path
    variants: tuple[Variant, ...]
    folder: Path
    seed: int
    tools: Path
    device: str = 'auto'
    data: Path | None = None
    data_truth: str = 'annotations/instances_train.json'
    data_true_maps: str | None = None
    unmasked: str | None = None
    refine: str | None = None

    @property
    def title(self) -> str:
        return f'{" + ".join(variant.name for variant in self.variants)}, seed {self.seed}'

    @property
    def logs(self) -> Path:
        return self.folder / 'logs'

    @property
    def checkpoint(self) -> str:
        """Path of the last checkpoint; the training must have run."""
        return (self.folder / 'train' / 'last_checkpoint').read_text().strip()

    def labels(self, variant: Variant) -> Path:
        return self.folder / variant.file_name / 'labels' / 'pseudo_labels.json'

    def truth(self, variant: Variant) -> Path | None:
        """Return the json of the true instances of the training images, None if unknown."""
        if self.data is not None:
            return self.data / self.data_truth
        return variant.truth

    def figures_file(self, variant: Variant) -> Path:
        return self.folder / variant.file_name / 'evaluation' / 'figures.json'

    def figures(self, variant: Variant) -> dict[str, float] | None:
        """Return the measured figures of the labels, None without a measurement or truth."""
        path = self.figures_file(variant)
        known = self.truth(variant) is not None and path.is_file()
        return json.loads(path.read_text()) if known else None

    def stage2_run(self, variant: Variant) -> Stage2Run:
        """Return the run of stage 2 on the labels of a variant."""
        return Stage2Run(
            name=self.refine,
            labels=variant.name,
            folder=self.folder / variant.file_name / f'refine-{self.refine}',
            seed=self.seed,
            tools=self.tools,
            device=self.device,
        )

    def run(self, environment: dict[str, str]) -> None:
        """Run what has not finished yet.

        Raises:
            RunError, KeyboardInterrupt: see :func:`mmp2seg.experiments.phases.run_phases`.
        """
        for variant in self.variants:
            run_phases(self.phases(variant), self.logs, environment=environment)

    def phases(self, variant: Variant) -> list[Phase]:
        """Return the training and all that follows for one of the configs."""
        phases = [self.training_phase(), self.label_phase(variant)]
        if self.refine is not None:
            phases += self.stage2_run(variant).phases()
        truth = self.truth(variant)
        if truth is not None:  # last: stage 2 does not depend on it
            phases.append(self.evaluation_phase(variant, truth))
        return phases

    def training_phase(self) -> Phase:
        return Phase(
            'train',
            f'{self.title}: train',
            self._train_commands,
            self.folder / 'train',
            resumes=True,
        )

    def label_phase(self, variant: Variant) -> Phase:
        return Phase(
            f'labels-{variant.file_name}',
            f'{variant.name}, seed {self.seed}: write pseudo labels',
            lambda: self._label_commands(variant),
            self.labels(variant).parent,
        )

    def evaluation_phase(self, variant: Variant, truth: Path) -> Phase:
        has_maps = self.data is not None and self.data_true_maps is not None
        return evaluation_phase(
            f'evaluation-{variant.file_name}',
            f'{variant.name}, seed {self.seed}: compare the labels with the truth',
            tools=self.tools,
            labels=self.labels(variant),
            truth=truth,
            true_maps=self.data / self.data_true_maps if has_maps else None,
            figures_file=self.figures_file(variant),
            match=variant.match,
            unmasked=None if self.data is None or not self.unmasked else self.data / self.unmasked,
        )

    def data_options(self) -> dict[str, object]:
        """Return the config options that make the tools of stage 1 read the data of this run."""
        return {} if self.data is None else {'train_dataloader.dataset.data_root': self.data}

    def _train_commands(self) -> list[list[str]]:
        options = {**self.data_options(), 'randomness.seed': self.seed}
        command = tool_command(self.tools, 'train.py', self.config, *self._run_options('train'))
        return [[*command, *cfg_options(options)]]

    def _label_commands(self, variant: Variant) -> list[list[str]]:
        labels = self.labels(variant)
        command = tool_command(
            self.tools,
            'generate_pseudo_labels.py',
            *(variant.config, self.checkpoint, '--split', 'train', '--out', labels),
            *self._run_options(labels.parent / 'logs'),
        )
        return [[*command, *cfg_options(self.data_options())]]

    def _run_options(self, place: str | Path) -> Sequence[object]:
        return '--work-dir', self.folder / place, '--device', self.device


def evaluation_phase(
    name: str,
    title: str,
    *,
    tools: Path,
    labels: Path,
    truth: Path,
    figures_file: Path,
    match: str | None = None,
    true_maps: Path | None = None,
    unmasked: Path | None = None,
) -> Phase:
    """Return the phase that compares a label file with the truth and writes the figures.

    Args:
        match, true_maps, unmasked: options of ``eval_pseudo_labels.py``; None = without them.
    """
    command = tool_command(
        tools,
        'analysis_tools/eval_pseudo_labels.py',
        *(labels, truth, '--json', figures_file),
        *([] if match is None else ['--match', match]),
        *([] if true_maps is None else ['--true-maps', true_maps]),
        *([] if unmasked is None else ['--unmasked', unmasked]),
    )
    return Phase(name, title, lambda: [command], figures_file.parent)


def shapes_phase(
    folder: Path,
    seed: int,
    *,
    tools: Path,
    num_images: int = 300,
    size: int = 128,
    split: str = 'train',
) -> Phase:
    """Return the phase that makes one split of the Shapes dataset, in a folder per arguments.

    Args:
        folder: folder of the datasets.
        size: side of the images, in pixels.
        split: 'train' or 'val'.
    """
    data = folder / f'{"" if split == "train" else "val-"}seed{seed}-{num_images}x{size}px'
    numbers = {'train': 0, 'val': 0, split: num_images}
    command = tool_command(
        tools,
        'dataset_converters/make_shapes.py',
        *(data, '--num-train', numbers['train'], '--num-val', numbers['val']),
        *('--size', size, '--seed', seed, '--overwrite'),
    )
    title = f'make the dataset Shapes, {"" if split == "train" else "held-out images, "}seed {seed}'
    return Phase(data.name, title, lambda: [command], data)
