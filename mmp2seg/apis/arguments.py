"""Shared command-line arguments of ``tools/``, and the exit of a command.

A tool defines ``parse_args(argv)`` and ``main(argv)`` and ends with ``run_command(main)``. ``main``
does the heavy imports, so that ``--help`` answers immediately. This module imports only the
standard library: mmengine looks for devices when it is imported, and --device must take effect
before that.
"""

import argparse
import contextlib
import errno
import os
import pickle
import select
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from mmp2seg.apis.command_errors import bug_line, error_line, is_expected, is_of_interrupt
from mmp2seg.files.folders import require_writable
from mmp2seg.files.weights_only import weights_only

# Exceptions that report bad input files and options in tools that read and write files. In other
# tools they can come from any code, and run_command looks where they were raised.
FILE_ERRORS = (OSError, ValueError)
_TRUST = '--trust-checkpoint'
_DEBUG = '--debug'
_DEBUG_VARIABLE = 'MMP2SEG_DEBUG'
_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


class CommandError(Exception):
    """A user's mistake: the command ends with this one line and without a traceback."""


def run_command(
    main: Callable[[list[str]], int | None],
    *,
    mistakes: tuple[type[Exception], ...] = (),
    error_status: int = 1,
) -> None:
    """Run ``main(argv)`` of a tool and exit with the status that it returns.

    An error is printed as ``<tool>: error: <message>``, without traceback and on a new line even if
    a progress bar is unfinished. If it may be a bug, the line has its type and place, and a second
    one says how to see the traceback. The option --debug, or a value of the environment variable
    ``MMP2SEG_DEBUG``, shows the traceback of any error; the option also sets the variable, for the
    commands that this one starts. Without the option --trust-checkpoint, torch loads nothing but
    weights.

    Args:
        main: function of the process's arguments that returns the exit status; None means 0. The
            second line names the attribute ``log_file`` of an error, a log with the traceback.
        mistakes: exceptions to report like a :class:`CommandError`, wherever they were raised.
        error_status: exit status after an error.

    Raises:
        SystemExit: for an exit status other than 0: ``error_status``, or 130 for Ctrl-C.
    """
    status, message = None, None
    with _whole_lines(), weights_only(_TRUST not in sys.argv):
        try:
            status = main(sys.argv[1:])
        except KeyboardInterrupt:
            status, message = _INTERRUPTED, f'{_tool()}: interrupted'
            _print_traceback()
        except Exception as error:
            status = error_status
            if is_of_interrupt(error):
                status, message = _INTERRUPTED, f'{_tool()}: interrupted'
            elif not _is_of_closed_output(error):
                message = f'{_tool()}: error: {_describe(error, mistakes)}'
            _print_traceback()
    if message and status == 1:
        sys.exit(message)
    if message:
        print(message, file=sys.stderr)
    if status:
        sys.exit(status)


def _describe(error: Exception, mistakes: tuple[type[Exception], ...]) -> str:
    if isinstance(error, pickle.UnpicklingError):
        first = str(error).strip().splitlines()[0]
        return f'a file that is no plain weights: {first} ({_TRUST})'
    if isinstance(error, (CommandError, *mistakes)) or is_expected(error):
        return error_line(error)
    log = getattr(error, 'log_file', None)
    where = 'run with --debug for the traceback' + (f', or read {log}' if log else '')
    return f'{bug_line(error)}\n{where}'


def _is_of_closed_output(error: Exception) -> bool:
    """Return whether the reader of standard output, such as ``head``, has ended; then be silent."""
    if not isinstance(error, BrokenPipeError) or not hasattr(select, 'poll'):
        return False
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, select.POLLOUT)
    is_closed = any(event & select.POLLERR for _, event in poll.poll(0))
    if is_closed:  # Python flushes at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return is_closed


def _print_traceback() -> None:
    if os.environ.get(_DEBUG_VARIABLE):
        traceback.print_exc()


def _tool() -> str:
    return os.path.basename(sys.argv[0])


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with --debug, whose help keeps the line breaks of ``description``.

    Args:
        description: a tool's docstring.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(_DEBUG, action=_DebugAction, help='show the traceback of an error')
    return parser


def require_outputs(
    *, files: Iterable[str | Path | None] = (), folders: Iterable[str | Path | None] = ()
) -> None:
    """Check that the outputs of a command can be written, before its work; None is left out.

    Raises:
        OSError: one cannot be; ``filename`` is the folder, or the file if it is a folder.
    """
    files = [Path(path) for path in files if path is not None]
    for path in files:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    for folder in [*(path.parent for path in files), *folders]:
        if folder is not None:
            require_writable(folder)


def add_cfg_options(parser: argparse.ArgumentParser, *, what: str = 'the config') -> None:
    """Add --cfg-options: a dict of values by dotted key, None without the option."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_CfgOptions,
        metavar='KEY=VALUE',
        help=f'override settings of {what}, e.g. train_dataloader.batch_size=4 '
        'model.test_cfg.scales="[1,2]" (quote a list and write it without spaces)',
    )


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """Add --device; see :func:`mmp2seg.apis.device.select_device`."""
    parser.add_argument(
        '--device',
        choices=['auto', 'cpu', 'cuda'],
        default='auto',
        help='auto: use CUDA if a device is found, otherwise the CPU; cpu: hide the CUDA devices',
    )


def add_sam_weights_argument(parser: argparse.ArgumentParser) -> None:
    """Add --weights; see :func:`mmp2seg.apis.point_masks.set_sam_weights`."""
    parser.add_argument(
        '--weights',
        metavar='FOLDER',
        help='weights of SAM: a folder with config.json and model.safetensors, or a name on the '
        'Hugging Face hub (default: facebook/sam-vit-huge)',
    )


def add_trust_argument(parser: argparse.ArgumentParser) -> None:
    """Add --trust-checkpoint, for tools that read a checkpoint; :func:`run_command` reads it."""
    parser.add_argument(
        _TRUST,
        action='store_true',
        help='load checkpoints with Python objects, which can run any code: only for files of your '
        'own',
    )


def add_tta_argument(parser: argparse.ArgumentParser) -> None:
    """Add --tta, for tools that run a network."""
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test-time augmentation: average the results over the copies of the config's "
        'tta_pipeline',
    )


def add_overwrite_argument(parser: argparse.ArgumentParser) -> None:
    """Add --overwrite, for tools that write a folder."""
    parser.add_argument(
        '--overwrite', action='store_true', help='replace the folder if it is not empty'
    )


def add_copy_argument(parser: argparse.ArgumentParser, *, what: str = 'images') -> None:
    """Add --copy, for tools that link to their input."""
    parser.add_argument('--copy', action='store_true', help=f'copy {what} instead of linking them')


def add_allow_empty_argument(parser: argparse.ArgumentParser) -> None:
    """Add --allow-empty, for tools whose result without a single point is an error."""
    parser.add_argument(
        '--allow-empty', action='store_true', help='go on if there is not a single point'
    )


def add_skip_refused_argument(parser: argparse.ArgumentParser) -> None:
    """Add --skip-refused, for tools that convert points."""
    parser.add_argument(
        '--skip-refused',
        action='store_true',
        help='leave out points that cannot be used and list them, instead of stopping',
    )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add --json, for tools that print figures."""
    parser.add_argument('--json', metavar='OUT.json', help='also write the figures to this file')


def add_truth_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --long-side and --min-area, the frame of images with true masks."""
    parser.add_argument(
        '--long-side',
        type=at_least(0),
        default=352,
        metavar='PX',
        help='resize images and truth to this long side first; 0: do not (default: 352)',
    )
    parser.add_argument(
        '--min-area',
        type=at_least(0),
        default=0,
        metavar='PX',
        help='objects with fewer pixels in the json are void (default: 0)',
    )


def add_image_set_argument(parser: argparse.ArgumentParser, *, help: str) -> None:
    """Add --image-set, a text file that lists image names."""
    parser.add_argument('--image-set', metavar='FILE', help=f'{help} (default: all)')


def add_classes_argument(parser: argparse.ArgumentParser, *, help: str, default: str) -> None:
    """Add --classes for :func:`mmp2seg.converters.class_names.resolve_classes`.

    Args:
        help: description of the names.
        default: description of the default classes, for the help text.
    """
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help=f'{help}; or a single word: voc, coco, or a text file with one name per line '
        f'(default: {default})',
    )


def at_least(minimum: int) -> Callable[[str], int]:
    """Return an argparse ``type`` for integers of at least ``minimum``."""

    def parse(text: str) -> int:
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(f'expected at least {minimum}, got {value}')
        return value

    parse.__name__ = 'int'  # argparse shows this name in its error for text that is not a number
    return parse


def share(text: str) -> float:
    """Parse a number in [0, 1]; for argparse's ``type``."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'expected a number from 0 to 1, got {text}')
    return value


def command_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments that all tools running a config share.

    They are config, --work-dir, --cfg-options, --launcher, --local_rank, --device and
    --trust-checkpoint.
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
        help='launcher of the processes of a distributed run',
    )
    # torch passes one spelling or the other, depending on its version
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    add_device_argument(parser)
    add_trust_argument(parser)
    return parser


def parse_command(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse ``argv`` and store the local rank in the environment, where mmengine reads it."""
    args = parser.parse_args(argv)
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


class _DebugAction(argparse.Action):
    """Set the variable for this process and its children, and nothing in the namespace."""

    def __init__(self, option_strings, dest, **options) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, **options)

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        os.environ[_DEBUG_VARIABLE] = '1'


class _CfgOptions(argparse.Action):
    """mmengine's ``DictAction``, imported only when the option is used, with checks."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from mmengine.config import DictAction

        action = DictAction(self.option_strings, self.dest, nargs=self.nargs)
        for text in values:
            key, equals, _ = text.partition('=')
            if not equals or not all(key.split('.')):
                parser.error(f'argument {option_string}: expected KEY=VALUE, got {text!r}')
            try:
                action(parser, namespace, [text], option_string)
            except AssertionError as error:  # of brackets
                parser.error(f'argument {option_string}: {text}: {error}')


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
