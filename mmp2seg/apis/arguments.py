"""The command lines of ``tools/``: shared arguments, and how a command ends.

A tool defines ``parse_args(argv)`` and ``main(argv)`` and ends with ``run_command(main)``. ``main``
does the heavy imports, so that ``--help`` answers at once. This module imports the standard
library alone: mmengine looks for devices when it is imported, and --device acts before that.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

# Exceptions that report bad input files and options in tools that read and write files. Tools that
# train or test a network leave them alone: there, they may come from anywhere and need a traceback.
FILE_ERRORS = (OSError, ValueError)


class CommandError(Exception):
    """A user's mistake: the command ends with this one line and without a traceback."""


def run_command(
    main: Callable[[list[str]], int | None],
    *,
    mistakes: tuple[type[Exception], ...] = (),
    error_status: int = 1,
) -> None:
    """Run ``main(argv)`` of a tool and exit with the status that it returns.

    A :class:`CommandError` is printed as ``<tool>: error: <message>``, without traceback and on a
    new line even if a progress bar is unfinished.

    Args:
        main: takes the arguments of the process; returns the exit status, None for 0.
        mistakes: further exceptions that are reported like a :class:`CommandError`.
        error_status: exit status for these errors.

    Raises:
        SystemExit: for an exit status other than 0.
    """
    status, message = None, None
    with _whole_lines():
        try:
            status = main(sys.argv[1:])
        except (CommandError, *mistakes) as error:
            status, message = error_status, f'{os.path.basename(sys.argv[0])}: error: {error}'
    if message and status == 1:
        sys.exit(message)
    if message:
        print(message, file=sys.stderr)
    if status:
        sys.exit(status)


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser whose help shows ``description``, the docstring of a tool, with its line breaks."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_cfg_options(parser: argparse.ArgumentParser, *, what: str = 'the config') -> None:
    """Add --cfg-options: a dict by dotted key, None if it is not given."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_CfgOptions,
        metavar='KEY=VALUE',
        help=f'override settings of {what}, e.g. train_dataloader.batch_size=4 '
        'model.test_cfg.scales="[1,2]" (a list takes quotes and no white space)',
    )


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add --device, see :func:`mmp2seg.apis.device.select_device`."""
    parser.add_argument(
        '--device',
        choices=['auto', 'cpu', 'cuda'],
        default='auto',
        help='auto: CUDA if there is a device, else CPU; cpu: hide the CUDA devices',
    )


def add_tta_argument(parser: argparse.ArgumentParser) -> None:
    """Add --tta of tools that run a network."""
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test-time augmentation: average over the copies of the config's tta_pipeline",
    )


def add_overwrite_argument(parser: argparse.ArgumentParser) -> None:
    """Add --overwrite of tools that write a folder."""
    parser.add_argument('--overwrite', action='store_true', help='replace a folder with contents')


def add_copy_argument(parser: argparse.ArgumentParser, *, what: str = 'images') -> None:
    """Add --copy of tools that link to their input."""
    parser.add_argument('--copy', action='store_true', help=f'copy {what} instead of linking them')


def add_skip_refused_argument(parser: argparse.ArgumentParser) -> None:
    """Add --skip-refused of tools that convert points."""
    parser.add_argument(
        '--skip-refused',
        action='store_true',
        help='leave out what cannot be placed and list it, instead of stopping',
    )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add --json of tools that print figures."""
    parser.add_argument('--json', metavar='OUT.json', help='also write the figures to this file')


def add_image_set_argument(parser: argparse.ArgumentParser, *, help: str) -> None:
    """Add --image-set, a text file with names of images."""
    parser.add_argument('--image-set', metavar='FILE', help=f'{help} (default: all)')


def add_classes_argument(parser: argparse.ArgumentParser, *, help: str, default: str) -> None:
    """Add --classes for :func:`mmp2seg.converters.class_names.resolve_classes`.

    Args:
        help: what the names are.
        default: which classes there are without the option, for the help.
    """
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help=f'{help}; or one word: voc, coco, or a text file with a name per line '
        f'(default: {default})',
    )


def at_least(minimum: int) -> Callable[[str], int]:
    """An argparse ``type``: a whole number of at least ``minimum``."""

    def parse(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f'expected at least {minimum}, got {value}')
        return value

    parse.__name__ = 'int'  # argparse names the type if the text is not a number
    return parse


def command_parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the arguments of every tool that runs a config: config, --work-dir,
    --cfg-options, --launcher, --local_rank and --device.
    """
    parser = make_parser(description)
    parser.add_argument('config', help='path of the config file')
    parser.add_argument(
        '--work-dir', help='folder of logs and checkpoints (default: work_dirs/<config name>)'
    )
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes of a distributed run are started',
    )
    # the spelling that torch passes depends on its version
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    add_device_argument(parser)
    return parser


def parse_command(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse ``argv``; the local rank goes into the environment, where mmengine reads it."""
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


class _CfgOptions(argparse.Action):
    """mmengine's ``DictAction``, imported only if the option is given."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from mmengine.config import DictAction

        action = DictAction(self.option_strings, self.dest, nargs=self.nargs)
        action(parser, namespace, values, option_string)


class _LineTracker:
    """A text stream that knows whether its last line is unfinished."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._unfinished = False

    def write(self, text: str) -> int:
        if text:
            self._unfinished = not text.endswith('\n')
        return self._stream.write(text)

    def finish_line(self) -> None:
        if self._unfinished:
            with contextlib.suppress(OSError):  # a closed pipe
                self.write('\n')
                self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _whole_lines() -> Iterator[None]:
    """Finish the last lines of standard output and standard error when the block ends."""
    trackers = [_LineTracker(sys.stdout), _LineTracker(sys.stderr)]
    with contextlib.redirect_stdout(trackers[0]), contextlib.redirect_stderr(trackers[1]):
        try:
            yield
        finally:
            for tracker in trackers:
                tracker.finish_line()
