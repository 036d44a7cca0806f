"""Describe an error in one line, and tell what a user can mend from a bug.

This module imports neither torch nor the mm packages, as :mod:`mmp2seg.apis.arguments` does.
"""

import errno
import linecache
import re
import traceback
from pathlib import Path

from mmp2seg.files.text_reading import printable

PACKAGE = Path(__file__).resolve().parents[1]
_LONGEST_MESSAGE = 400
_LONGEST_LINE = 1000
# The kinds of errors that mmp2seg raises for bad files, options and configs.
_OF_INPUT = (OSError, ValueError, RuntimeError)
# Causes outside of any program, whichever code met them.
_OF_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_SYSTEM_ERROR = re.compile(r"\[Errno \d+\] (.+?): '(.*)'")
# what a traceback as text says of a frame: its file, and the line of code
_FRAME = re.compile(r'^  File "(.+)", line (\d+), in .*(?:\n    (.*))?', re.MULTILINE)
_WORKER = 'Original Traceback (most recent call last)'


def error_line(error: BaseException) -> str:
    """Return the message of an error, without the traceback that a data worker puts before it.

    A message of several lines remains so. An error of the operating system becomes ``PATH:
    REASON``. Values of files in it are shown so that a terminal does not obey them, and long lines
    are cut.
    """
    return '\n'.join(_shown(line) for line in _message(error).split('\n'))


def _shown(line: str) -> str:
    line = printable(line)
    return line if len(line) <= _LONGEST_LINE else f'{line[:_LONGEST_LINE]}...'


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f'{error.filename}: {error.strerror}'
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = text.strip()
    if _WORKER in text:
        text = re.sub(r'^[\w.]+: ', '', text.rsplit('\n', 1)[-1])
    found = _SYSTEM_ERROR.search(text)
    return f'{found[2]}: {found[1]}' if found else text


def is_expected(error: BaseException) -> bool:
    """Return whether the message of an error alone says what to mend.

    That is so for errors that code of mmp2seg raises by itself, in this process or in a data
    worker, and for what the operating system says of a file. An error that other code raises can
    have any cause.
    """
    if isinstance(error, OSError):
        worker = _WORKER in str(error)
        if (error.filename is not None or error.errno in _OF_MACHINE) and not worker:
            return True
        if worker and _SYSTEM_ERROR.search(str(error)):
            return True
    if type(error).__module__.partition('.')[0] == 'mmp2seg':
        return True
    if not isinstance(error, _OF_INPUT):
        return False
    origin = _origin(error)
    return (
        origin is not None
        and Path(origin[0]).resolve().is_relative_to(PACKAGE)
        and origin[2].startswith('raise ')
    )


def is_of_interrupt(error: BaseException) -> bool:
    """Return whether an error was raised while Ctrl-C was handled.

    Code that catches everything makes another error of it, such as mmengine's ``pretty_text``,
    which each checkpoint has.
    """
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, KeyboardInterrupt):
            return True
        chain = chain.__cause__ or chain.__context__
    return False


def bug_line(error: BaseException) -> str:
    """Return an error in one line, with its type and where it was raised, shortened if long."""
    text = ' '.join(error_line(error).split())
    if len(text) > _LONGEST_MESSAGE:
        text = f'{text[:_LONGEST_MESSAGE]}...'
    origin = _origin(error)
    place = f' ({origin[0]}:{origin[1]})' if origin else ''
    return f'{type(error).__name__}{": " if text else ""}{text}{place}'


def _origin(error: BaseException) -> tuple[str, int, str] | None:
    """Return file, line and code of the place where an error was raised."""
    text = str(error)
    if _WORKER in text:
        frames = _FRAME.findall(text[text.index(_WORKER) :])
        return (frames[-1][0], int(frames[-1][1]), frames[-1][2]) if frames else None
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return None
    file, line = frames[-1].filename, frames[-1].lineno or 0
    return file, line, linecache.getline(file, line).strip()
