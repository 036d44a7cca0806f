"""What the command lines of ``tools/`` have in common."""

import argparse
import os
import sys
from collections.abc import Callable


class CommandError(Exception):
    """A user's mistake: the command ends with this one line and without a traceback."""


def run_command(main: Callable[[list[str]], None]) -> None:
    """Run ``main(argv)`` of a tool; a :class:`CommandError` becomes one line and exit status 1."""
    try:
        main(sys.argv[1:])
    except CommandError as error:
        sys.exit(f'{os.path.basename(sys.argv[0])}: error: {error}')


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--device',
        choices=['auto', 'cpu', 'cuda'],
        default='auto',
        help='auto: CUDA where there is a device, else CPU; cpu: hide the CUDA devices',
    )


def add_tta_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test-time augmentation: average over the copies of the config's tta_pipeline",
    )


def command_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the arguments of every tool that runs a config: config, --work-dir,
    --cfg-options, --launcher, --local_rank and --device.
    """
    # mmengine looks for devices when it is imported, and --device has to act before that
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        '--work-dir', help='folder of logs and checkpoints (default: work_dirs/<config name>)'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the config, e.g. train_dataloader.batch_size=4 '
        'model.test_cfg.scales="[1,2]" (a list takes quotes and no white space)',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run are started',
    )
    # torch passes either spelling, depending on its version
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    add_device_argument(parser)
    return parser


def parse_command(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse ``argv``; the local rank goes into the environment, where mmengine reads it."""
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args
