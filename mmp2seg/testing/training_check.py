"""Do trainings on a GPU start as those on the CPU do?

Short trainings from the same weights are compared by their losses. ``train.py`` runs them in child
processes.
"""

import json
import logging
import math
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mmp2seg.experiments.commands import cfg_options, children_environment, tool_command

Losses = list[dict[str, float]]
_CPU = 'CPU'
# Largest relative differences of losses. Convolutions run in tf32 or in half precision. Later
# iterations are compared only where both ran on a GPU: targets are argmax and argmin of the outputs
# of a nearly random network, so small differences grow.
_FLOAT32, _HALF = 0.01, 0.02


@dataclass(frozen=True)
class Training:
    """One training of a group.

    Attributes:
        name: of its row.
        options: of ``train.py``.
        settings: of the config, on top of the group's.
        reference: name of the training that it is compared with; None: its losses must be finite.
        limit: largest relative difference of a loss from the reference's.
        compares_all: compare all iterations, not the first one alone.
        distributed: start it with ``dist_train.sh``, in one process.
        stops: stop after half of the iterations, and resume.
    """

    name: str
    options: tuple[str, ...] = ('--device', 'cuda')
    settings: Mapping[str, Any] = field(default_factory=dict)
    reference: str | None = _CPU
    limit: float = _FLOAT32
    compares_all: bool = False
    distributed: bool = False
    stops: bool = False


@dataclass(frozen=True)
class Group:
    """Trainings of one config, which start from the same weights.

    Attributes:
        config: path in the folder of configs.
        trainings: each after its reference.
        settings: of the config, in all of them.
        stage: 1, or 2 for a segmentor that learns instances.
    """

    config: str
    trainings: tuple[Training, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    stage: int = 1


_ON_CPU = Training(_CPU, ('--device', 'cpu'), reference=None)
_IN_FLOAT32 = Training('float32')


def _in_half(dtype: str) -> Training:
    settings = {'optim_wrapper.dtype': dtype}
    return Training(dtype, ('--device', 'cuda', '--amp'), settings, limit=_HALF)


_IN_FLOAT16, _IN_BFLOAT16 = _in_half('float16'), _in_half('bfloat16')
_FROM_THE_START = {
    f'model.distiller.{name}_begin': 0 for name in ('refine', 'propagate', 'semantic')
}
GROUPS = (
    Group(
        'p2seg/tiny_shapes.py',  # rounds with the guided affinity
        (
            _ON_CPU,
            _IN_FLOAT32,
            _IN_FLOAT16,
            _IN_BFLOAT16,
            Training('float32, distributed', distributed=True),
            Training('float32, resumed', reference='float32', compares_all=True, stops=True),
        ),
        _FROM_THE_START,
    ),
    Group(
        'ablations/tiny_shapes_s_offset.py',  # rounds with the pairwise affinity, and its loss
        (_ON_CPU, _IN_FLOAT32, _IN_FLOAT16, _IN_BFLOAT16),
        _FROM_THE_START,
    ),
    Group(
        'ablations/tiny_shapes_g_propagation.py',
        (_ON_CPU, _IN_FLOAT32, _IN_BFLOAT16),
        _FROM_THE_START,
    ),
    Group('refine/solov2_tiny_shapes.py', (_ON_CPU, _IN_FLOAT32), stage=2),
    # mmdet draws the samples of boxes on the CPU, also for a GPU
    Group('refine/mask-rcnn_tiny_shapes.py', (_ON_CPU, _IN_FLOAT32), stage=2),
)


class Verdict(NamedTuple):
    """How a training compares with its reference.

    Attributes:
        training: of the group.
        losses: of its iterations; empty if it failed.
        first, all: largest relative difference of a loss, of the first and of any iteration; None
            for a training without a reference.
        ok: whether the difference that counts is within the limit.
    """

    training: Training
    losses: Losses
    first: float | None
    all: float | None
    ok: bool


@dataclass(frozen=True)
class Runner:
    """Runs trainings.

    Attributes:
        root: folder of the checkout.
        folder: for data, logs and checkpoints.
        iterations: of each training, at least 2.
        jobs: trainings at the same time.
    """

    root: Path
    folder: Path
    iterations: int = 4
    jobs: int = 4

    def run(self, groups: Sequence[Group]) -> dict[str, list[Verdict]]:
        """Make the data, run the trainings of all groups and compare them; by config."""
        self._make_data()
        for group in groups:
            config = self.root / 'configs' / group.config
            write_start(config, self._start(group))
        with ThreadPoolExecutor(self.jobs) as pool:
            losses = {
                group.config: {
                    training.name: pool.submit(self.train, group, training)
                    for training in group.trainings
                }
                for group in groups
            }
        return {
            group.config: judge(
                group, {name: one.result() for name, one in losses[group.config].items()}
            )
            for group in groups
        }

    def train(self, group: Group, training: Training) -> Losses:
        """Run a training; return the losses of its iterations, none if it failed."""
        work_dir = self.folder / _name(group) / training.name.replace(', ', '_')
        stops = [self.iterations // 2] if training.stops else []
        losses: Losses = []
        for stop in [*stops, self.iterations]:
            command = self.command(group, training, work_dir, max_iters=stop)
            command += ['--resume'] if losses else []
            if not run_logged(command, work_dir.with_suffix('.log'), root=self.root):
                return []
            losses += read_losses(work_dir)
        return losses

    def command(
        self, group: Group, training: Training, work_dir: Path, *, max_iters: int
    ) -> list[str]:
        """Return the command of a training."""
        config, tools = self.root / 'configs' / group.config, self.root / 'tools'
        settings: dict[str, Any] = {
            'train_dataloader.batch_size': 4,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_cfg.max_iters': max_iters,
            'default_hooks.logger.interval': 1,
            'log_processor.window_size': 1,
            'load_from': self._start(group),
            'randomness.seed': 0,
            **self._data_settings(group),
            **group.settings,
            **training.settings,
        }
        command = tool_command(tools, 'train.py', config)
        if training.distributed:
            command = ['bash', str(tools / 'dist_train.sh'), str(config), '1']
        return [
            *command,
            *('--work-dir', str(work_dir)),
            *training.options,
            *cfg_options(settings),
        ]

    @property
    def _data(self) -> Path:
        return self.folder / 'shapes'

    def _start(self, group: Group) -> Path:
        return self.folder / f'{_name(group)}.pth'

    def _data_settings(self, group: Group) -> dict[str, object]:
        if group.stage == 1:
            return {'train_dataloader.dataset.data_root': self._data}
        truth, images = self._data / 'annotations', f'{self._data}/JPEGImages/'
        return {
            'train_dataloader.dataset.ann_file': truth / 'instances_train.json',
            'train_dataloader.dataset.data_prefix.img': images,
            'val_dataloader.dataset.ann_file': truth / 'instances_val.json',
            'val_dataloader.dataset.data_prefix.img': images,
            'val_evaluator.ann_file': truth / 'instances_val.json',
        }

    def _make_data(self) -> None:
        make = tool_command(
            self.root / 'tools',
            'dataset_converters/make_shapes.py',
            *(self._data, '--size', '96', '--num-train', '16', '--num-val', '2', '--overwrite'),
        )
        run_logged(make, self._data.with_suffix('.log'), root=self.root)


def judge(group: Group, losses: Mapping[str, Losses]) -> list[Verdict]:
    """Compare the losses of the trainings of a group, given by name."""
    verdicts = []
    for training in group.trainings:
        own = losses[training.name]
        ok = bool(own) and all(math.isfinite(value) for one in own for value in one.values())
        first = everywhere = None
        if training.reference is not None:
            other = losses[training.reference]
            first = largest_difference(own[:1], other[:1])
            everywhere = largest_difference(own, other)
            ok = ok and (everywhere if training.compares_all else first) <= training.limit
        verdicts.append(Verdict(training, own, first, everywhere, ok))
    return verdicts


def has_cuda_operators() -> bool:
    """Whether mmcv was compiled with its operators for CUDA, which stage 2 needs there."""
    from mmcv.ops import get_compiling_cuda_version

    return get_compiling_cuda_version() != 'not available'


def write_start(config: Path, file: Path) -> None:
    """Write a checkpoint of a config's network with random weights.

    A seed gives other random weights on CUDA than on the CPU, so all trainings start from it.
    """
    import torch
    from mmengine.config import Config
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope

    from mmp2seg.registry import MODELS

    MMLogger.get_current_instance().setLevel(logging.WARNING)  # not a line per parameter
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=model.state_dict()), file)


def run_logged(command: list[str], log: Path, *, root: Path) -> bool:
    """Run a command, append its output to a file, and print the end of it if the command fails.

    Returns:
        bool: whether the command succeeded.
    """
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    environment = children_environment(root) | {'PYTHON': sys.executable, 'PORT': port}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('a') as file:
        status = subprocess.run(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT
        ).returncode
    if status:
        print(
            f'status {status}: {" ".join(command)}', *log.read_text().splitlines()[-25:], sep='\n'
        )
    return status == 0


def read_losses(work_dir: Path) -> Losses:
    """Losses by name of each logged iteration of the last run in a work dir."""
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    lines = logs[-1].read_text().splitlines() if logs else []
    values = [json.loads(line) for line in lines]
    return [
        {key: value for key, value in of_line.items() if key.startswith('loss')}
        for of_line in values
        if 'loss' in of_line  # not the line of a validation
    ]


def largest_difference(losses: Losses, reference: Losses) -> float:
    """Largest difference of any loss, relative to the total loss of ``reference``.

    nan if the names of the losses differ.
    """
    names = [[sorted(values) for values in run] for run in (losses, reference)]
    if not reference or names[0] != names[1]:
        return float('nan')
    return max(
        abs(values[name] - expected[name]) / abs(expected['loss'])
        for values, expected in zip(losses, reference)
        for name in values
    )


def _name(group: Group) -> str:
    return Path(group.config).stem
