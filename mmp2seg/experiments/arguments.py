"""Shared arguments and helpers of the tools that run many trainings: datasets, jobs, interrupts."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mmp2seg.apis.arguments import CommandError, add_cfg_options, add_device_argument
from mmp2seg.experiments.commands import RunError, end_like_interrupted
from mmp2seg.experiments.job_pool import Job
from mmp2seg.experiments.phases import run_phases
from mmp2seg.experiments.stage1_run import shapes_phase
from mmp2seg.files.folder_lock import FolderInUse, folder_lock
from mmp2seg.files.text_reading import read_text


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a run: seeds, work dir, data, truth, jobs, config options and device."""
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3], metavar='SEED')
    parser.add_argument('--work-dir', type=Path, required=True, help='for all results')
    parser.add_argument(
        '--shapes',
        action='store_true',
        help='train on the generated dataset Shapes: a seed sets the data and the training '
        '(default: the data of the configs; a seed sets the training alone)',
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
        '--size',
        type=int,
        default=128,
        help='side of the images of Shapes in pixels (default: 128)',
    )
    parser.add_argument(
        '--truth',
        type=Path,
        metavar='FILE.json',
        help="true instances of the training images (default: the file of the config's "
        'PseudoMaskMetric; without either, pseudo labels are written and not evaluated)',
    )
    parser.add_argument(
        '--jobs', type=int, default=1, metavar='N', help='trainings to run in parallel (default: 1)'
    )
    add_cfg_options(parser, what='all configs of stage 1')
    add_device_argument(parser)


def parse_run_arguments(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse and check the arguments; a repeated seed counts once."""
    args = parser.parse_args(argv)
    if args.shapes and args.truth is not None:
        parser.error('--truth: --shapes has its own truth')
    if args.jobs < 1:
        parser.error(f'--jobs: expected at least 1, got {args.jobs}')
    args.seeds = list(dict.fromkeys(args.seeds))
    args.work_dir = args.work_dir.resolve()
    if ',' in str(args.work_dir):
        parser.error(f'--work-dir: a comma would split the paths in --cfg-options: {args.work_dir}')
    return args


def listed_configs(path: Path) -> list[Path]:
    """Read paths from a file, one per line; a '#' starts a comment.

    Raises:
        CommandError: the file is missing or is not UTF-8.
    """
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise CommandError(f'--list: {error}') from error
    return [Path(text) for line in lines if (text := line.split('#')[0].strip())]


def threads_per_job(num_jobs: int) -> int:
    """Return the number of cores of this process per job, at least 1."""
    affinity = getattr(os, 'sched_getaffinity', None)  # missing on some systems
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(cores // num_jobs, 1)


def make_shapes(
    args: argparse.Namespace, tools: Path, environment: dict[str, str], *, split: str = 'train'
) -> dict[int, Path]:
    """Make one split of the Shapes dataset for every seed, unless it exists.

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
    """Call ``run(args)`` with a locked work dir; SIGTERM and SIGHUP end it as Ctrl-C does.

    Returns:
        int: the exit status: the result of ``run``, or 130 for an interrupt.

    Raises:
        CommandError: a phase outside of the jobs failed, or another command uses the work dir.
    """
    end_like_interrupted('SIGTERM', 'SIGHUP')
    try:
        with folder_lock(args.work_dir):
            return run(args)
    except KeyboardInterrupt:
        print('\nInterrupted. The same command continues from here.', file=sys.stderr)
        return 130
    except (RunError, FolderInUse) as error:
        raise CommandError(str(error)) from error
