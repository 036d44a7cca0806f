"""Check what needs a CUDA device: the fused affinity, propagation, and training.

Prints and writes tables: the error of the fused affinity against float64 on CPU; its time and
memory compared with torch's streamed and dense versions; the affinities that propagate scores
compared with CPU; the losses of short trainings on CUDA (float32, mixed precision, one distributed
process) compared with CPU. Exit status: 1 if a check fails.
"""

import argparse
import datetime
import functools
import json
import math
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.analysis.tables import format_table
from mmp2seg.apis.arguments import CommandError, at_least, make_parser, run_command
from mmp2seg.experiments.commands import cfg_options, children_environment, tool_command
from mmp2seg.files.atomic_write import write_text

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
# Options of train.py, settings of the config, and the largest allowed relative difference of the
# losses of the first iteration from those on CPU: convolutions run in tf32 by default, or in half
# precision. Later iterations are shown but not checked: their targets are argmax and argmin of the
# outputs of a nearly random network, so small differences grow.
TRAININGS = {
    'float32': (['--device', 'cuda'], {}, 0.01),
    'float16': (['--device', 'cuda', '--amp'], {'optim_wrapper.dtype': 'float16'}, 0.02),
    'bfloat16': (['--device', 'cuda', '--amp'], {'optim_wrapper.dtype': 'bfloat16'}, 0.02),
    'float32, distributed': (['--device', 'cuda'], {}, 0.01),
}


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/cuda_check'))
    parser.add_argument(
        '--only', choices=['affinity', 'propagation', 'training'], help='run one of the checks'
    )
    parser.add_argument('--size', type=int, default=104, help='side of the maps (default: 104)')
    parser.add_argument('--channels', type=int, default=256, help='channels (default: 256)')
    parser.add_argument('--maps', type=int, default=2, help='label maps per image (default: 2)')
    parser.add_argument('--batch', type=int, default=1, help='images (default: 1)')
    parser.add_argument('--tune', action='store_true', help='also time other block sizes')
    parser.add_argument(
        '--config',
        type=Path,
        default=ROOT / 'configs' / 'p2seg' / 'tiny_shapes.py',
        help='config to train (default: configs/p2seg/tiny_shapes.py)',
    )
    parser.add_argument(
        '--iterations',
        type=at_least(1),
        default=4,
        help='iterations of each training (default: 4)',
    )
    return parser.parse_args(argv)


@dataclass
class Report:
    """Tables, and the names of failed checks."""

    parts: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.parts.append(text)
        print(f'{text}\n', flush=True)

    def add_table(self, title: str, head: list[str], rows: list[list[str]]) -> None:
        self.add(f'{title}\n\n{format_table(head, rows)}')

    def verdict(self, ok: bool, name: str) -> str:
        """Return 'ok' or 'FAILED'; note a failure."""
        if not ok:
            self.failures.append(name)
        return 'ok' if ok else 'FAILED'


def check_affinity(args: argparse.Namespace, report: Report) -> None:
    """Add tables of the fused affinity, for two shares of pixels that take part in the loss."""
    from mmp2seg.testing import affinity_check

    for share in (1.0, 0.4):
        case = affinity_check.make_case(
            size=args.size,
            channels=args.channels,
            maps=args.maps,
            batch=args.batch,
            share=share,
        )
        title = (
            f'{args.batch} x {args.size} x {args.size} pixels, {args.channels} channels, '
            f'{args.maps} maps, {share:.0%} of the pixels in them'
        )
        findings = [
            finding
            for dtype in affinity_check.GRAD_LIMITS
            for finding in affinity_check.fused_errors(case, dtype)
        ]
        add_errors(findings, report, title)
        calls = affinity_check.plain_calls(case)
        for dtype in affinity_check.GRAD_LIMITS:
            fused = affinity_check.fused_calls(case, dtype)
            calls |= {f'{what}, fused, {dtype}': call for what, call in fused.items()}
        add_times(calls, report, title)
        if args.tune and share == 1:
            add_block_times(case, report, title)
            calls = affinity_check.variant_calls(case)
            add_times(calls, report, f'float32, variants: {title}')


def add_errors(findings: list, report: Report, title: str) -> None:
    """Add a table of ``affinity_check.Finding``, with a verdict for each."""
    rows = [
        [
            finding.what,
            finding.dtype,
            *(f'{error:.1e}' for error in (finding.cpu_error, finding.error, finding.limit)),
            report.verdict(finding.ok, f'{finding.what}, {finding.dtype}, {title}'),
        ]
        for finding in findings
    ]
    head = ['relative error', 'embedding', 'CPU float32', 'fused', 'limit', '']
    report.add_table(f'Affinity against float64: {title}', head, rows)


def add_times(calls: dict, report: Report, title: str) -> None:
    """Add a table of the time and memory of calls on CUDA."""
    from mmp2seg.testing import affinity_check

    rows = []
    for name, call in calls.items():
        found = affinity_check.measure(call)
        cells = ['-', '-'] if found is None else [f'{found[0]:.3f}', f'{found[1]:.0f}']
        rows.append([name, *cells])
    report.add_table(f'Time and memory: {title}', ['a call on CUDA', 'ms', 'extra MB'], rows)


def add_block_times(case, report: Report, title: str) -> None:
    """Add a table of the milliseconds of both kernels by block size."""
    from mmp2seg.testing import affinity_check

    calls = {
        f'{what}, {dtype}': call
        for dtype in affinity_check.GRAD_LIMITS
        for what, call in affinity_check.fused_calls(case, dtype).items()
    }
    rows = []
    for blocks in affinity_check.candidate_blocks():
        sizes = ' '.join(map(str, blocks))
        row = [sizes]
        for name, call in calls.items():
            try:
                found = affinity_check.measure(functools.partial(call, blocks=blocks))
            except RuntimeError as error:  # CUDA cannot go on after it
                raise CommandError(f'{name} with the blocks {sizes}: {error}') from error
            row.append('-' if found is None else f'{found[0]:.3f}')
        rows.append(row)
    head = ['rows columns warps stages', *calls]
    report.add_table(f'Milliseconds by blocks: {title}', head, rows)


def check_propagation(args: argparse.Namespace, report: Report, device: str = 'cuda') -> None:
    """Add tables of the affinities that propagate scores: agreement with the CPU, and time."""
    from mmp2seg.testing import propagation_check

    scene = propagation_check.make_scene(size=4 * args.size)
    rows = [
        [one.what, f'{one.difference:.1e}', f'{one.limit:.1e}', report.verdict(one.ok, one.what)]
        for one in propagation_check.compare(scene, device)
    ]
    title = f'{4 * args.size} x {4 * args.size} pixels, {len(scene.points_xy)} points'
    head = ['largest difference from CPU', 'CUDA', 'limit', '']
    report.add_table(f'Propagation of scores: {title}', head, rows)
    add_times(propagation_check.timed_calls(scene, device), report, title)


def check_training(args: argparse.Namespace, report: Report) -> None:
    """Add a table of the losses of short trainings."""
    folder = args.work_dir.resolve()
    data = folder / 'shapes'
    make = tool_command(TOOLS, 'dataset_converters/make_shapes.py', data, '--size', '96')
    run_logged([*make, '--num-train', '16', '--num-val', '2', '--overwrite'], folder / 'shapes.log')
    # A seed gives other random weights on CUDA than on the CPU, so all start from the same file.
    start = folder / 'start.pth'
    write_start(args.config, start)
    names = {'CPU': (['--device', 'cpu'], {}, None), **TRAININGS}
    losses = {name: train(name, args, data, start, folder) for name in names}
    rows = [
        [name, *describe_losses(losses[name]), *judge_losses(name, limit, losses, report)]
        for name, (_, _, limit) in names.items()
    ]
    head = ['training', 'first losses', 'last loss', 'difference, all', 'first', 'limit', '']
    report.add_table(f'{args.config.stem}, {args.iterations} iterations', head, rows)


def judge_losses(
    name: str, limit: float | None, losses: dict[str, list[dict]], report: Report
) -> list[str]:
    """Cells with the differences from the training on CPU and the verdict.

    The training on CPU itself passes if its losses are finite.
    """
    finite = bool(losses[name]) and all(
        math.isfinite(value) for values in losses[name] for value in values.values()
    )
    if limit is None:
        return ['', '', '', report.verdict(finite, f'training on the {name}')]
    everywhere = largest_difference(losses[name], losses['CPU'])
    first = largest_difference(losses[name][:1], losses['CPU'][:1])
    verdict = report.verdict(finite and first <= limit, f'training in {name}')
    return [f'{everywhere:.1e}', f'{first:.1e}', f'{limit:.0e}', verdict]


def write_start(config: Path, file: Path) -> None:
    """Write a checkpoint of a config's network with random weights."""
    import torch
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from mmp2seg.registry import MODELS

    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), file)


def train(name: str, args: argparse.Namespace, data: Path, start: Path, folder: Path) -> list[dict]:
    """Run a training from a checkpoint; return the losses of its iterations, none if it failed."""
    options, settings, _ = TRAININGS.get(name, (['--device', 'cpu'], {}, None))
    work_dir = folder / name.replace(', ', '_')
    settings = {
        'train_dataloader.dataset.data_root': data,
        'train_dataloader.batch_size': 4,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_cfg.max_iters': args.iterations,
        'default_hooks.logger.interval': 1,
        'log_processor.window_size': 1,
        'load_from': start,
        **settings,
    }
    command = tool_command(TOOLS, 'train.py', args.config)
    if 'distributed' in name:
        command = ['bash', str(TOOLS / 'dist_train.sh'), str(args.config), '1']
    command += ['--work-dir', str(work_dir), *options, *cfg_options(settings)]
    if not run_logged(command, folder / f'{work_dir.name}.log'):
        return []
    return read_losses(work_dir)


def run_logged(command: list[str], log: Path) -> bool:
    """Run a command with its output in a file; print the end of it if the command fails.

    Returns:
        bool: whether the command succeeded.
    """
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = str(probe.getsockname()[1])
    environment = children_environment(ROOT) | {'PYTHON': sys.executable, 'PORT': port}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('w') as file:
        status = subprocess.run(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT
        ).returncode
    if status:
        print(
            f'status {status}: {" ".join(command)}', *log.read_text().splitlines()[-25:], sep='\n'
        )
    return status == 0


def read_losses(work_dir: Path) -> list[dict[str, float]]:
    """Losses by name of each logged iteration of the last run in a work dir."""
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    lines = logs[-1].read_text().splitlines() if logs else []
    return [
        {key: value for key, value in json.loads(line).items() if key.startswith('loss')}
        for line in lines
    ]


def largest_difference(losses: list[dict], reference: list[dict]) -> float:
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


def describe_losses(losses: list[dict]) -> list[str]:
    """Cells with all losses of the first iteration and the total loss of the last one."""
    if not losses:
        return ['-', '-']
    first = ', '.join(f'{key} {value:.4f}' for key, value in losses[0].items())
    return [first, f'{losses[-1]["loss"]:.4f}']


def describe_machine() -> str:
    import torch
    import triton

    name, (major, minor) = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    return (
        f'{name} (compute capability {major}.{minor}), torch {torch.__version__}, CUDA '
        f'{torch.version.cuda}, triton {triton.__version__}, {datetime.date.today()}'
    )


def main(argv: list[str]) -> None:
    args = parse_args(argv)
    import torch

    from mmp2seg.ops.affinity import fused

    if not torch.cuda.is_available():
        raise CommandError('no CUDA device was found; all checks need one')
    report = Report()
    if not fused.triton_available(torch.device('cuda')):
        raise CommandError('triton does not run on the CUDA device')
    report.add(describe_machine())
    checks = dict(affinity=check_affinity, propagation=check_propagation, training=check_training)
    for name, check in checks.items():
        if args.only in (None, name):
            check(args, report)
    out_file = args.work_dir / 'cuda_check.md'
    write_text(out_file, '\n\n'.join(report.parts) + '\n')
    print(f'The tables: {out_file}')
    if report.failures:
        raise CommandError('failed: ' + '; '.join(report.failures))


if __name__ == '__main__':
    run_command(main)
