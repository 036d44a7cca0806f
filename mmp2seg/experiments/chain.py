"""One training of an ablation: train, and for each config that shares it label and evaluate, and
train a segmentor on the labels.

Light to import: a worker process that runs chains needs no mmengine.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmp2seg.experiments.commands import cfg_options, tool_command
from mmp2seg.experiments.phases import Phase, run_phases
from mmp2seg.experiments.segmentor_run import SegmentorRun


@dataclass(frozen=True)
class Variant:
    """A config to label with.

    Attributes:
        name: of the config.
        config: file that holds all of it.
        truth: json of true instances; None = its pseudo labels are not evaluated.
        match: how objects and instances are matched; None = as ``eval_pseudo_labels.py`` does.
    """

    name: str
    config: Path
    truth: Path | None = None
    match: str | None = None


@dataclass(frozen=True)
class Chain:
    """One training with one seed, and what follows from it.

    Attributes:
        config: what is trained with.
        variants: the configs that share the training.
        folder: for all that is written.
        seed: of the training.
        tools: the folder of the tools.
        device: as the tools' option.
        data: folder of the data set Shapes to use in place of the configs' own data.
        refine: name of the stage-2 config that trains on the labels, see :meth:`refinement`; None =
            no stage 2.
    """

    config: Path
    variants: tuple[Variant, ...]
    folder: Path
    seed: int
    tools: Path
    device: str = 'auto'
    data: Path | None = None
    refine: str | None = None

    @property
    def title(self) -> str:
        return f'{" + ".join(variant.name for variant in self.variants)}, seed {self.seed}'

    @property
    def logs(self) -> Path:
        return self.folder / 'logs'

    def labels(self, variant: Variant) -> Path:
        return self.folder / variant.name / 'labels' / 'pseudo_labels.json'

    def truth(self, variant: Variant) -> Path | None:
        """Json of the true instances of the training images, None if unknown."""
        if self.data is not None:
            return self.data / 'annotations' / 'instances_train.json'
        return variant.truth

    def figures_file(self, variant: Variant) -> Path:
        return self.folder / variant.name / 'evaluation' / 'figures.json'

    def figures(self, variant: Variant) -> dict[str, float] | None:
        """What was measured of the labels, None if nothing was or no truth is known."""
        path = self.figures_file(variant)
        known = self.truth(variant) is not None and path.is_file()
        return json.loads(path.read_text()) if known else None

    def refinement(self, variant: Variant) -> SegmentorRun:
        """Stage 2 on the labels of a variant."""
        return SegmentorRun(
            name=self.refine,
            labels=variant.name,
            folder=self.folder / variant.name / f'refine-{self.refine}',
            seed=self.seed,
            tools=self.tools,
            device=self.device,
        )

    def run(self, environment: dict[str, str]) -> None:
        """Run what has not been finished before.

        Raises:
            PhaseError, KeyboardInterrupt: as :func:`mmp2seg.experiments.phases.run_phases`.
        """
        for variant in self.variants:
            run_phases(self.phases(variant), self.logs, environment=environment)

    def phases(self, variant: Variant) -> list[Phase]:
        """The training and what follows for one of the configs."""
        phases = self.label_phases(variant)
        if self.refine is not None:
            phases += self.refinement(variant).phases()
        if self.truth(variant) is not None:  # last: stage 2 does not depend on it
            phases.append(
                Phase(
                    f'evaluation-{variant.name}',
                    f'{variant.name}, seed {self.seed}: compare the labels with the truth',
                    lambda: self._evaluation_commands(variant),
                    self.folder / variant.name / 'evaluation',
                )
            )
        return phases

    def label_phases(self, variant: Variant) -> list[Phase]:
        """The training and the labels of one of the configs."""
        return [
            Phase(
                'train',
                f'{self.title}: train',
                self._train_commands,
                self.folder / 'train',
                resumes=True,
            ),
            Phase(
                f'labels-{variant.name}',
                f'{variant.name}, seed {self.seed}: write pseudo labels',
                lambda: self._label_commands(variant),
                self.folder / variant.name / 'labels',
            ),
        ]

    def _train_commands(self) -> list[list[str]]:
        options = {**self.data_options(), 'randomness.seed': self.seed}
        command = tool_command(self.tools, 'train.py', self.config, *self._run_options('train'))
        return [[*command, *cfg_options(options)]]

    def _label_commands(self, variant: Variant) -> list[list[str]]:
        checkpoint = (self.folder / 'train' / 'last_checkpoint').read_text().strip()
        command = tool_command(
            self.tools,
            'generate_pseudo_labels.py',
            *(variant.config, checkpoint, '--split', 'train', '--out', self.labels(variant)),
            *self._run_options(f'{variant.name}/labels/logs'),
        )
        return [[*command, *cfg_options(self.data_options())]]

    def _evaluation_commands(self, variant: Variant) -> list[list[str]]:
        return [
            tool_command(
                self.tools,
                'analysis_tools/eval_pseudo_labels.py',
                *(self.labels(variant), self.truth(variant), '--json', self.figures_file(variant)),
                *([] if variant.match is None else ['--match', variant.match]),
            )
        ]

    def _run_options(self, place: str) -> Sequence[object]:
        return '--work-dir', self.folder / place, '--device', self.device

    def data_options(self) -> dict[str, object]:
        """What the tools of stage 1 need to be told of the data."""
        return {} if self.data is None else {'train_dataloader.dataset.data_root': self.data}


def shapes_phase(
    folder: Path,
    seed: int,
    *,
    tools: Path,
    num_images: int = 300,
    size: int = 128,
    split: str = 'train',
) -> Phase:
    """Make one split of the data set Shapes; the folder is one of these arguments alone.

    Args:
        folder: for the data sets.
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
