"""The whole chain on the built-in dataset Shapes: points in, a trained segmentor out.

Makes the data, trains stage 1 on points and weak maps, writes pseudo labels, trains stage 2 on
them, evaluates both, draws pictures and prints a table. Started again it goes on where it stopped.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout runs uninstalled

from mmp2seg.analysis.tables import format_table
from mmp2seg.experiments.commands import (
    cfg_options,
    children_environment,
    end_like_interrupted,
    tool_command,
)
from mmp2seg.experiments.phases import Phase, PhaseError, format_seconds, run_phases
from mmp2seg.experiments.segmentor_run import test_figures
from mmp2seg.files.atomic_write import write_text
from mmp2seg.files.folder_lock import FolderInUse, folder_lock
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou

ROOT = Path(__file__).resolve().parents[1]
STAGE1 = ROOT / 'configs' / 'p2seg' / 'tiny_shapes.py'
STAGE2 = ROOT / 'configs' / 'refine' / 'mask-rcnn_tiny_shapes.py'
NUM_CLASSES = 4
# Pseudo labels by the name of their file, in the order of the table.
LABELS = {
    'component': '(a) the component that holds the point',
    'nearest': '(b) nearest-point split of the weak map',
    'p2seg': '(c) trained stage 1',
    'p2seg_nearest': "(d) nearest-point split of stage 1's semantic map",
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / 'work_dirs' / 'quickstart', help='for all results'
    )
    parser.add_argument(
        '--device',
        choices=['auto', 'cpu', 'cuda'],
        default='auto',
        help='auto: CUDA where there is a device, else CPU',
    )
    parser.add_argument('--seed', type=int, default=0, help='of the data and of both trainings')
    parser.add_argument(
        '--smoke', action='store_true', help='tiny data and a few iterations: does it all run?'
    )
    return parser.parse_args(argv)


@dataclass(frozen=True)
class Chain:
    """Folders, and the commands of every phase."""

    folder: Path
    device: str = 'auto'
    seed: int = 0
    smoke: bool = False

    @property
    def data(self) -> Path:
        return self.folder / 'shapes'

    @property
    def train_truth(self) -> Path:
        return self.data / 'annotations' / 'instances_train.json'

    def labels(self, name: str) -> Path:
        return self.folder / 'pseudo_labels' / f'{name}.json'

    def label_figures(self, name: str) -> Path:
        return self.folder / 'evaluation' / f'{name}.json'

    def checkpoint(self, stage: str) -> str:
        """The last checkpoint of a stage that has been trained."""
        return (self.folder / stage / 'last_checkpoint').read_text().strip()

    def phases(self) -> list[Phase]:
        folder = self.folder
        return [
            Phase('data', 'make the dataset Shapes', self.data_commands, self.data),
            Phase(
                'stage1',
                'train stage 1 on points and weak maps',
                self.stage1_commands,
                folder / 'stage1',
                resumes=True,
            ),
            Phase('labels', 'write pseudo labels', self.label_commands, folder / 'pseudo_labels'),
            Phase(
                'stage2',
                'train stage 2, a Mask R-CNN, on the pseudo labels',
                self.stage2_commands,
                folder / 'stage2',
                resumes=True,
            ),
            Phase(
                'evaluation',
                'compare pseudo labels and stage 2 with the truth',
                self.evaluation_commands,
                folder / 'evaluation',
            ),
            Phase('pictures', 'draw pictures', self.picture_commands, folder / 'pictures'),
        ]

    def data_commands(self) -> list[list[str]]:
        numbers = ['--num-train', '300', '--num-val', '100', '--size', '128']
        if self.smoke:
            numbers = ['--num-train', '12', '--num-val', '6', '--size', '64']
        tool = 'dataset_converters/make_shapes.py'
        return [_tool(tool, self.data, *numbers, '--seed', self.seed, '--overwrite')]

    def stage1_commands(self) -> list[list[str]]:
        options = {'train_dataloader.dataset.data_root': self.data}
        return [self._train(STAGE1, 'stage1', options)]

    def label_commands(self) -> list[list[str]]:
        source = ['--split', 'train']
        options = cfg_options({'train_dataloader.dataset.data_root': self.data})
        generate = _tool('generate_pseudo_labels.py', STAGE1, self.checkpoint('stage1'), *source)
        generate += [
            '--device',
            self.device,
            '--work-dir',
            str(self.folder / 'pseudo_labels' / 'logs'),
        ]
        baseline = _tool('analysis_tools/baseline_pseudo_labels.py', STAGE1, *source)
        variants = {
            'p2seg': generate,
            'p2seg_nearest': [*generate, '--grouping', 'nearest'],
            'component': [*baseline, '--rule', 'component'],
            'nearest': [*baseline, '--rule', 'nearest'],
        }
        return [
            [*command, '--out', str(self.labels(name)), *options]
            for name, command in variants.items()
        ]

    def stage2_commands(self) -> list[list[str]]:
        options = {
            'train_dataloader.dataset.ann_file': self.labels('p2seg'),
            'train_dataloader.dataset.data_prefix.img': self.data / 'JPEGImages',
            # measured in a phase of its own
            **dict.fromkeys(['val_cfg', 'val_dataloader', 'val_evaluator'], None),
        }
        return [self._train(STAGE2, 'stage2', options)]

    def evaluation_commands(self) -> list[list[str]]:
        tool = 'analysis_tools/eval_pseudo_labels.py'
        commands = [
            _tool(tool, self.labels(name), self.train_truth, '--json', self.label_figures(name))
            for name in LABELS
        ]
        truth = self.data / 'annotations' / 'instances_val.json'
        test = _tool('test.py', STAGE2, self.checkpoint('stage2'), '--device', self.device)
        test += ['--work-dir', str(self.folder / 'evaluation' / 'stage2')]
        options = {
            'test_dataloader.dataset.ann_file': truth,
            'test_dataloader.dataset.data_prefix.img': self.data / 'JPEGImages',
            'test_evaluator.ann_file': truth,
        }
        return [*commands, [*test, *cfg_options(options)]]

    def picture_commands(self) -> list[list[str]]:
        command = _tool(
            'analysis_tools/draw_stage1.py',
            *(STAGE1, self.checkpoint('stage1')),
            *('--out-dir', self.folder / 'pictures', '--num', 2 if self.smoke else 8),
            *('--split', 'train', '--truth', self.train_truth),
        )
        if self.device != 'auto':
            command += ['--device', self.device]
        options = {'train_dataloader.dataset.data_root': self.data}
        return [[*command, *cfg_options(options)]]

    def _train(self, config: Path, stage: str, options: dict) -> list[str]:
        options = {**options, 'randomness.seed': self.seed}
        if self.smoke:
            options['train_cfg.max_iters'] = 6
        command = _tool('train.py', config, '--work-dir', self.folder / stage)
        return [*command, '--device', self.device, *cfg_options(options)]


def _tool(name: str, *arguments: object) -> list[str]:
    return tool_command(ROOT / 'tools', name, *arguments)


def weak_map_miou(data: Path) -> float:
    """Mean IoU of the weak maps of the training images with the true ones."""
    matrices = []
    for name in (data / 'ImageSets' / 'Segmentation' / 'train.txt').read_text().split():
        weak, true = (
            np.array(Image.open(data / folder / f'{name}.png'))
            for folder in ('WSSS_maps', 'SegmentationClass')
        )
        matrices.append(confusion_matrix(weak, true, num_classes=NUM_CLASSES))
    return mean_iou(sum(matrices))


def make_table(chain: Chain, seconds: dict[str, float]) -> str:
    """All figures, in percent, and the wall time of each phase as a table in Markdown."""
    rows = [('mIoU of the weak semantic maps', _percent(weak_map_miou(chain.data)), '')]
    for name, title in LABELS.items():
        figures = json.loads(chain.label_figures(name).read_text())
        values = [_percent(figures[key]) for key in ('mean_iou', 'mean_iou_touching')]
        rows.append((f'mean IoU of pseudo masks: {title}', *values))
    stage2 = test_figures(chain.folder / 'evaluation' / 'stage2') or {}
    for title, key in (('AP', 'coco/segm_mAP'), ('AP50', 'coco/segm_mAP_50')):
        rows.append((f'{title} of stage 2 on held-out images', _percent(stage2.get(key)), ''))
    for phase in chain.phases():
        rows.append((f'wall time: {phase.title}', format_seconds(seconds[phase.name]), ''))
    rows.append(('wall time: together', format_seconds(sum(seconds.values())), ''))
    return format_table(('', 'all objects', 'touching objects'), rows)


def _percent(value: float | None) -> str:
    """'-' for what was not measured; pycocotools says -1 where there is nothing to measure."""
    return '-' if value is None or value < 0 else f'{100 * value:.1f}'


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    chain = Chain(args.work_dir.resolve(), args.device, args.seed, args.smoke)
    end_like_interrupted('SIGTERM', 'SIGHUP')
    print(f'Results, logs and pictures: {chain.folder} (remove it to start over)')
    try:
        with folder_lock(chain.folder):
            seconds = run_phases(
                chain.phases(), chain.folder / 'logs', environment=children_environment(ROOT)
            )
    except KeyboardInterrupt:
        print('\nInterrupted. The same command goes on from here.', file=sys.stderr)
        return 130
    except (PhaseError, FolderInUse) as error:
        print(f'quickstart: {error}', file=sys.stderr)
        return 1
    table = make_table(chain, seconds)
    write_text(chain.folder / 'table.md', table + '\n')
    print(f'\n{table}\n\nThe table: {chain.folder / "table.md"}')
    print(f'Pictures: {chain.folder / "pictures"}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
