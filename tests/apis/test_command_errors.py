import errno
import os

import pytest
from torch._utils import ExceptionWrapper

from mmp2seg.apis.arguments import at_least
from mmp2seg.apis.command_errors import bug_line, error_line, is_expected, is_of_interrupt
from mmp2seg.files.folder_lock import FolderInUse
from mmp2seg.files.image_folder import relative_stem
from mmp2seg.files.text_reading import read_text


def error_of(function, *arguments):
    with pytest.raises(Exception) as info:
        function(*arguments)
    return info.value


def worker_error(function, *arguments):
    """The error as torch raises it again in the process of the loader."""
    try:
        function(*arguments)
    except Exception:
        return error_of(ExceptionWrapper(where='in DataLoader worker process 0').reraise)


def bug():
    return [][3]


def outside():
    raise ValueError('of another package')


def full_disk():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize('error_from', [error_of, worker_error])
def test_an_error_of_ours_is_its_message_alone(error_from):
    error = error_from(relative_stem, '/a/b.png')
    assert error_line(error) == "expected a file in the image folder, got '/a/b.png'"
    assert is_expected(error)


@pytest.mark.parametrize('error_from', [error_of, worker_error])
def test_a_missing_file_is_path_and_reason(error_from):
    error = error_from(open, 'gone.png')
    assert error_line(error) == 'gone.png: No such file or directory'
    assert is_expected(error)
    error = error_from(read_text, 'gone.txt')
    assert error_line(error) == 'gone.txt: there is no such file'
    assert is_expected(error)


@pytest.mark.parametrize('error_from', [error_of, worker_error])
def test_other_errors_have_type_and_place(error_from):
    error = error_from(bug)
    assert not is_expected(error)
    line = bug.__code__.co_firstlineno + 1
    assert bug_line(error) == f'IndexError: list index out of range ({__file__}:{line})'
    error = error_from(outside)
    assert not is_expected(error)
    assert bug_line(error).startswith('ValueError: of another package (')


def test_what_our_code_calls_is_not_what_it_raises():
    error = error_of(at_least(1), 'x')  # a ValueError of int(), in code of ours
    assert not is_expected(error)
    assert bug_line(error).startswith('ValueError: invalid literal')


def test_what_a_worker_raises_is_ours_only_if_its_last_frame_is():
    assert not is_expected(worker_error(read_text, 3.5))  # a TypeError below read_text


def test_errors_of_the_machine_and_our_own_types():
    assert is_expected(error_of(full_disk))
    assert is_expected(FolderInUse('work: another command is at work'))
    assert not is_expected(OSError('cannot identify the file'))
    assert not is_expected(AssertionError())


def test_an_error_while_ctrl_c_is_handled_is_of_it():
    outer, cause = ValueError(), ValueError()
    outer.__cause__, cause.__context__ = cause, KeyboardInterrupt()
    assert is_of_interrupt(outer) and is_of_interrupt(KeyboardInterrupt())
    cause.__context__ = OSError()
    assert not is_of_interrupt(outer)


def test_messages_in_one_line():
    assert error_line(KeyError('a b')) == 'a b'
    assert error_line(ValueError('a.png: bad\nb.png: bad')) == 'a.png: bad\nb.png: bad'
    assert bug_line(RuntimeError('one\n  two ')) == 'RuntimeError: one two'
    assert bug_line(AssertionError()) == 'AssertionError'
    assert len(bug_line(RuntimeError('x ' * 5000))) < 500


def test_values_in_a_message_are_shown_and_cut():
    line = error_line(ValueError(f'a.csv:2: got \x1b[2J\u2028{"x" * 5000}\n  and more'))
    first, second = line.split('\n')
    assert first.startswith(r'a.csv:2: got \x1b[2J\u2028xxx') and first.endswith('xxx...')
    assert len(first) < 1010 and second == '  and more'
