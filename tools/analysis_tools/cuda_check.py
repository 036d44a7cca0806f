"""Check what needs a CUDA device: the fused affinity, propagation, training, and waits of the host.

Prints and writes tables: the error of the fused affinity against float64 on CPU; its time and
memory compared with torch's streamed and dense versions; the affinities that propagate scores, and
the targets of batches, compared with CPU; what the host waits for in a training step; the losses of
short trainings of both stages on CUDA (float32, mixed precision, one distributed process, resumed)
compared with CPU. With --blocks, also which tile sizes of the fused kernels run. Exit status: 1 if
a check fails.
"""

import argparse
import collections
import datetime
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # a checkout runs uninstalled

from mmp2seg.analysis.tables import format_table
from mmp2seg.apis.arguments import CommandError, at_least, make_parser, run_command
from mmp2seg.files.atomic_write import write_text

if TYPE_CHECKING:  # at run time, functions import the package's parts that need numpy and torch
    from mmp2seg.testing.training_check import Losses, Verdict

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs' / 'p2seg' / 'hrnet48_voc.py'
PARTS = ('affinity', 'propagation', 'batches', 'waits', 'training', 'blocks')


def parse_args(argv: list[str]) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/cuda_check'))
    parser.add_argument('--only', choices=PARTS, nargs='+', help='run these checks')
    parser.add_argument('--size', type=int, default=104, help='side of the maps (default: 104)')
    parser.add_argument('--channels', type=int, default=256, help='channels (default: 256)')
    parser.add_argument('--maps', type=int, default=2, help='label maps per image (default: 2)')
    parser.add_argument('--batch', type=int, default=1, help='images (default: 1)')
    parser.add_argument('--tune', action='store_true', help='also time other block sizes')
    parser.add_argument(
        '--blocks', action='store_true', help='also run all block sizes, each in its own process'
    )
    parser.add_argument(
        '--iterations',
        type=at_least(2),
        default=4,
        help='iterations of each training (default: 4)',
    )
    parser.add_argument(
        '--jobs', type=at_least(1), default=4, help='trainings at the same time (default: 4)'
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
            add_block_times(args, report, title)
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


def add_block_times(args: argparse.Namespace, report: Report, title: str) -> None:
    """Add a table of the milliseconds of both kernels by block size."""
    from mmp2seg.testing import affinity_check

    rows, head = [], ['rows columns warps stages']
    for blocks in affinity_check.candidate_blocks():
        found = in_own_process(affinity_check.block_times, tuple(blocks), case_options(args))
        cells = [found]
        if isinstance(found, dict):
            cells = ['-' if time is None else f'{time:.3f}' for time in found.values()]
            head[1:] = found
        rows.append([' '.join(map(str, blocks)), *cells])
    rows = [[*row, *['-'] * (len(head) - len(row))] for row in rows]
    report.add_table(f'Milliseconds by blocks: {title}', head, rows)


def case_options(args: argparse.Namespace) -> dict[str, int]:
    """Return the options of ``affinity_check.make_case``."""
    return dict(size=args.size, channels=args.channels, maps=args.maps, batch=args.batch)


def in_own_process(function: Callable, *arguments: object) -> Any:
    """Return the result of a call in a new process, or the first line of its error's text.

    CUDA cannot go on after some errors.
    """
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        try:
            return pool.submit(function, *arguments).result()
        except Exception as error:  # whatever breaks the process
            return str(error).splitlines()[0] if str(error) else type(error).__name__


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


def check_batches(args: argparse.Namespace, report: Report, device: str = 'cuda') -> None:
    """Add a table: the targets and connected parts of batches, compared with those on the CPU."""
    from mmp2seg.testing import batch_check

    findings = batch_check.compare_targets(batch_check.make_batch(), device)
    findings.append(batch_check.compare_parts(device))
    rows = [
        [one.what, f'{one.changed:.1e}', f'{one.limit:.1e}', report.verdict(one.ok, one.what)]
        for one in findings
    ]
    head = ['share of other pixels than on the CPU', 'CUDA', 'limit', '']
    report.add_table('Targets of a batch', head, rows)


def check_waits(args: argparse.Namespace, report: Report) -> None:
    """Add a table of what the host waits for in training steps, after the first one."""
    from mmp2seg.analysis.benchmarks.network import STEPS, make_training_step
    from mmp2seg.testing.host_waits import device_waits

    rows = []
    for name in STEPS:
        options = dict(config=CONFIG, cfg_options={}, step=name, size=4 * args.size, points=12)
        step = make_training_step({**options, 'batch': 2, 'device': 'cuda', 'dense': False})
        step()  # compiles kernels and fills caches
        with device_waits() as found:
            step()
        for place, times in collections.Counter(found).items():
            rows.append([name, place, str(times)])
    report.add_table(f'Waits of the host, {CONFIG.stem}, 2 images', ['step', 'at', 'times'], rows)


def check_training(args: argparse.Namespace, report: Report) -> None:
    """Add tables of the losses of short trainings."""
    from mmp2seg.testing import training_check

    runner = training_check.Runner(ROOT, args.work_dir.resolve(), args.iterations, args.jobs)
    groups = training_check.GROUPS
    if not training_check.has_cuda_operators():
        groups = tuple(group for group in groups if group.stage == 1)
        report.add('Trainings of stage 2 are left out: mmcv has no CUDA operators (--cuda-ops)')
    for config, verdicts in runner.run(groups).items():
        rows = [training_row(config, verdict, report) for verdict in verdicts]
        head = ['training', 'first losses', 'last loss', 'compared with', 'all', 'first', 'limit']
        report.add_table(f'{config}, {args.iterations} iterations', [*head, ''], rows)


def training_row(config: str, verdict: 'Verdict', report: Report) -> list[str]:
    """Return the cells of a training."""
    training, differences = verdict.training, ['', '', '', '']
    if verdict.first is not None:
        numbers = (verdict.all, verdict.first, training.limit)
        differences = [str(training.reference), *(f'{number:.1e}' for number in numbers)]
    said = report.verdict(verdict.ok, f'training of {config} in {training.name}')
    return [training.name, *describe_losses(verdict.losses), *differences, said]


def check_blocks(args: argparse.Namespace, report: Report) -> None:
    """Add a table of the block sizes: whether the kernels run with them, and are right.

    Sizes that no call chooses may fail.
    """
    from mmp2seg.ops.affinity import fused
    from mmp2seg.testing import affinity_check

    def tried(blocks: tuple[int, ...]) -> dict | str:
        return in_own_process(affinity_check.blocks_errors, tuple(blocks), case_options(args))

    candidates, rows = affinity_check.candidate_blocks(), []
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(tried, candidates))
    for blocks, result in zip(candidates, results, strict=True):
        name, in_use, text, ok = ' '.join(map(str, blocks)), blocks in fused.BLOCKS, result, False
        if isinstance(result, dict):
            fitting = {what: found for what, found in result.items() if found}
            wrong = [
                f'{what}: {error:.1e}' for what, (error, right) in fitting.items() if not right
            ]
            text, ok = '; '.join([f'{len(fitting)} of {len(result)} fit', *wrong]), not wrong
        verdict = 'ok' if ok else 'fails'
        if in_use:
            verdict = report.verdict(ok, f'blocks {name}')
        rows.append([name, 'yes' if in_use else 'no', text, verdict])
    head = ['rows columns warps stages', 'in use', 'kernels, or error', '']
    report.add_table(f'Block sizes: {args.size} x {args.size} pixels', head, rows)


def describe_losses(losses: 'Losses') -> list[str]:
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
    checks = dict(
        affinity=check_affinity,
        propagation=check_propagation,
        batches=check_batches,
        waits=check_waits,
        training=check_training,
        blocks=check_blocks,
    )
    wanted = args.only or [name for name in PARTS if name != 'blocks' or args.blocks]
    for name, check in checks.items():
        if name in wanted:
            check(args, report)
    out_file = args.work_dir / 'cuda_check.md'
    write_text(out_file, '\n\n'.join(report.parts) + '\n')
    print(f'The tables: {out_file}')
    if report.failures:
        raise CommandError('failed: ' + '; '.join(report.failures))


if __name__ == '__main__':
    run_command(main)
