"""Shared arguments and helpers of the tools that run many trainings: datasets, jobs, interrupts."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mmp2seg.apis.arguments import (
    CommandError,
    add_cfg_options,
    add_device_argument,
    add_truth_arguments,
    share,
)
from mmp2seg.experiments.commands import RunError, end_like_interrupted
from mmp2seg.experiments.job_pool import Job
from mmp2seg.experiments.phases import run_phases
from mmp2seg.experiments.photographs import MAPS_KINDS, SEGMENTER, STRENGTH
from mmp2seg.experiments.stage1_run import shapes_phase
from mmp2seg.files.folder_lock import FolderInUse, folder_lock
from mmp2seg.files.folders import require_writable
from mmp2seg.files.text_reading import read_text

# Options that need --photographs, with their defaults.
_PHOTOGRAPH_DEFAULTS = {
    'maps': 'degraded',
    'strength': STRENGTH,
    'segmenter': None,
    'long_side': 352,
    'min_area': 0,
    'test_photographs': None,
}


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


def add_photograph_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --photographs and the options of its data."""
    group = parser.add_argument_group('photographs')
    group.add_argument(
        '--photographs',
        nargs='+',
        metavar='TRUTH.json IMAGES',
        help='train on these photographs and judge by their true masks: COCO json and folder of '
        'its images; several pairs make one dataset. The data, the classes and their number are '
        "replaced in every config, which must have a PointCocoDataset. The table's first row is "
        'what training starts from, and a config below it is named',
    )
    group.add_argument(
        '--maps',
        choices=MAPS_KINDS,
        default='degraded',
        help='weak maps. degraded: the true maps with errors, another draw for each seed; points: '
        'those of --segmenter, from the points alone, for all seeds (default: degraded)',
    )
    group.add_argument(
        '--strength',
        type=float,
        default=STRENGTH,
        help='of the errors of degraded maps (default: .8, for 70 to 83 mIoU)',
    )
    group.add_argument(
        '--segmenter',
        type=Path,
        metavar='CONFIG',
        help=f'point segmenter that makes the maps (default: {SEGMENTER})',
    )
    group.add_argument(
        '--test-photographs',
        nargs='+',
        metavar='TRUTH.json IMAGES',
        help='with --refine: photographs with true masks to test the segmentor on',
    )
    add_truth_arguments(group)


def add_kept_masks_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --keep-masks and --keep-by."""
    group = parser.add_argument_group('true masks among the points')
    group.add_argument(
        '--keep-masks',
        type=share,
        nargs='+',
        metavar='SHARE',
        help='run every config with each of these shares of the objects with true masks, 0 to 1; '
        'with --shapes or --photographs, and configs with a PointCocoDataset. The seed chooses the '
        'objects; a larger share has those of a smaller one',
    )
    group.add_argument(
        '--keep-by',
        choices=('object', 'image'),
        default='object',
        help='shares of all objects, or of the images, all of whose objects have masks '
        '(default: object)',
    )


def check_photograph_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """End the command with one line if options contradict each other."""
    if args.photographs is None:
        for name, default in _PHOTOGRAPH_DEFAULTS.items():
            if getattr(args, name) != default:
                parser.error(f'--{name.replace("_", "-")}: expected --photographs')
        return
    if len(args.photographs) % 2:
        parser.error(
            f'--photographs: expected pairs TRUTH.json IMAGES, got {len(args.photographs)} '
            'arguments'
        )
    for name in ('shapes', 'truth'):
        if getattr(args, name):
            parser.error(f'--photographs: expected no --{name}')
    if (args.refine is None) != (args.test_photographs is None):
        parser.error('--photographs: expected --refine and --test-photographs together')
    if args.test_photographs and len(args.test_photographs) % 2:
        parser.error(
            f'--test-photographs: expected pairs TRUTH.json IMAGES, got '
            f'{len(args.test_photographs)} arguments'
        )
    if args.segmenter is not None and args.maps != 'points':
        parser.error('--segmenter: expected --maps points')
    if not args.strength >= 0:
        parser.error(f'--strength: expected at least 0, got {args.strength}')
    if args.strength != STRENGTH and args.maps != 'degraded':
        parser.error('--strength: expected --maps degraded')


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
        OSError: the work dir cannot be written to.
    """
    end_like_interrupted('SIGTERM', 'SIGHUP')
    try:
        require_writable(args.work_dir)
        with folder_lock(args.work_dir):
            return run(args)
    except KeyboardInterrupt:
        print('\nInterrupted. The same command continues from here.', file=sys.stderr)
        return 130
    except (RunError, FolderInUse) as error:
        raise CommandError(str(error)) from error
