"""What the tools that run many trainings have in common: their arguments, data sets and jobs."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mmp2seg.apis.arguments import CommandError, add_device_argument
from mmp2seg.experiments.chain import shapes_phase
from mmp2seg.experiments.commands import end_like_interrupted
from mmp2seg.experiments.job_pool import Job
from mmp2seg.experiments.phases import PhaseError, run_phases
from mmp2seg.files.folder_lock import FolderInUse, folder_lock
from mmp2seg.files.text_reading import read_text


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --seeds, --work-dir, --shapes, --truth, --jobs and what belongs to them."""
    from mmengine.config import DictAction  # imports mmengine: after select_device

    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3], metavar='SEED')
    parser.add_argument('--work-dir', type=Path, required=True, help='for all results')
    parser.add_argument(
        '--shapes',
        action='store_true',
        help='train on the generated dataset Shapes: a seed is other data, too (default: the data '
        'of the configs, and a seed is only that of the training)',
    )
    parser.add_argument(
        '--num-images', type=int, default=300, help='training images of Shapes (default: 300)'
    )
    parser.add_argument(
        '--num-test-images',
        type=int,
        default=100,
        help='held-out images of Shapes that stage 2 is tested on (default: 100)',
    )
    parser.add_argument(
        '--size', type=int, default=128, help='side of those images in pixels (default: 128)'
    )
    parser.add_argument(
        '--truth',
        type=Path,
        metavar='FILE.json',
        help="true instances of the training images (default: those of the config's "
        'PseudoMaskMetric; with neither, pseudo labels are written and not evaluated)',
    )
    parser.add_argument(
        '--jobs', type=int, default=1, metavar='N', help='trainings side by side (default: 1)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of all configs of stage 1, e.g. train_cfg.max_iters=500',
    )
    add_device_argument(parser)


def parse_run_arguments(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse and check them; a seed that comes again counts once."""
    args = parser.parse_args(argv)
    if args.shapes and args.truth is not None:
        parser.error('--truth: the truth of Shapes comes with it')
    if args.jobs < 1:
        parser.error(f'--jobs: expected at least 1, got {args.jobs}')
    args.seeds = list(dict.fromkeys(args.seeds))
    args.work_dir = args.work_dir.resolve()
    if ',' in str(args.work_dir):
        parser.error(f'--work-dir: a comma would split the paths in --cfg-options: {args.work_dir}')
    return args


def listed_configs(path: Path) -> list[Path]:
    """Paths in a file, one per line; what follows a '#' is not read.

    Raises:
        CommandError: no such file, or one that is not UTF-8.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise CommandError(f'--list: {error}') from error
    return [Path(text) for line in lines if (text := line.split('#')[0].strip())]


def threads_per_job(num_jobs: int) -> int:
    """The cores of this process, shared out."""
    affinity = getattr(os, 'sched_getaffinity', None)  # not everywhere
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(cores // num_jobs, 1)


def make_shapes(
    args: argparse.Namespace, tools: Path, environment: dict[str, str], *, split: str = 'train'
) -> dict[int, Path]:
    """Make one split of the data set Shapes for every seed, unless it is there.

    Returns:
        dict: the folder of each seed.
    """
    num_images = args.num_images if split == 'train' else args.num_test_images
    folder, folders = args.work_dir / 'shapes', {}
    for seed in args.seeds:
        phase = shapes_phase(
            folder, seed, tools=tools, num_images=num_images, size=args.size, split=split
        )
        run_phases([phase], folder / 'logs', environment=environment)
        folders[seed] = phase.folder
    return folders


def report_job(job: Job, error: str | None) -> None:
    print(f'{job.title}: {"done" if error is None else "failed"}', flush=True)


def run_until_interrupted(
    run: Callable[[argparse.Namespace], int], args: argparse.Namespace
) -> int:
    """Run ``run(args)`` with the work dir to itself; SIGTERM and SIGHUP end it as Ctrl-C does.

    Returns:
        int: the exit status, that of ``run`` or 130 for an interrupt.

    Raises:
        CommandError: a phase outside of the jobs failed, or another command is at work in the work
            dir.
    """
    end_like_interrupted('SIGTERM', 'SIGHUP')
    try:
        with folder_lock(args.work_dir):
            return run(args)
    except KeyboardInterrupt:
        print('\nInterrupted. The same command goes on from here.', file=sys.stderr)
        return 130
    except (PhaseError, FolderInUse) as error:
        raise CommandError(str(error)) from error
