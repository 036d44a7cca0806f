import ctypes
import os
import subprocess
import time
from pathlib import Path

import pytest

from mmp2seg.testing.fuzzing import Reader, fuzz, summarize, try_seed

FILES = {'a.txt': b'1 2 3\n'}


def found_by(read, tmp_path, *, seeds=range(3), **options):
    findings, _ = fuzz(Reader('reader', FILES, read), seeds, folder=tmp_path, **options)
    return [(finding.seed, finding.kind) for finding in findings]


def refuse(message):
    def read(folder):
        raise ValueError(message.format(folder / 'a.txt'))

    return read


def test_success_and_our_errors_are_no_findings(tmp_path):
    assert found_by(lambda folder: (folder / 'a.txt').read_bytes(), tmp_path) == []
    assert found_by(refuse('{}: expected more'), tmp_path) == []
    assert found_by(refuse('{}: expected\n  one\n  two'), tmp_path) == []
    assert fuzz(Reader('r', FILES, refuse('{}: no')), range(4), folder=tmp_path) == ([], 4)


@pytest.mark.parametrize('message', ['no name', '{}: two\nlines'])
def test_messages_without_a_file_or_of_several_lines(tmp_path, message):
    assert found_by(refuse(message), tmp_path) == [(seed, 'message') for seed in range(3)]


def test_other_exceptions(tmp_path):
    def read(folder):
        raise KeyError(str(folder))

    assert found_by(read, tmp_path) == [(seed, 'KeyError') for seed in range(3)]
    (finding, *_), _ = fuzz(Reader('reader', FILES, read), range(2), folder=tmp_path)
    assert finding.place.startswith('test_fuzzing.py:')


@pytest.mark.parametrize(
    ('action', 'kind'),
    [
        (lambda folder: ctypes.string_at(0), 'crash'),
        (lambda folder: os._exit(3), 'crash'),
        (lambda folder: time.sleep(60), 'hang'),
        (lambda folder: bytearray(1 << 30), 'MemoryError'),
        (lambda folder: (folder / '..' / 'b.txt').write_text('x'), 'outside'),
        (lambda folder: (folder.parent / 'b').mkdir(), 'outside'),
        (lambda folder: os.rename(folder / 'a.txt', folder.parent / 'a.txt'), 'outside'),
        (lambda folder: os.symlink('a.txt', folder.parent / 'link'), 'outside'),
        (lambda folder: subprocess.run(['true'], check=True), 'outside'),
        (lambda folder: os.system('true'), 'outside'),
    ],
)
def test_a_process_that_ends_hangs_grows_or_goes_astray_is_reported_once(tmp_path, action, kind):
    def read(folder):
        if (folder / 'a.txt').read_bytes() == broken:
            action(folder)

    reader = Reader('reader', FILES, lambda folder: None)
    reader.write(tmp_path / 'files', seed=1)
    broken = (tmp_path / 'files' / 'a.txt').read_bytes()
    assert found_by(read, tmp_path, limit_s=0.5, memory=512 << 20) == [(1, kind)]


def test_what_is_written_inside_is_no_finding(tmp_path):
    def read(folder):
        (folder / 'out').mkdir()
        (folder / 'out' / 'b').write_text('x')
        os.replace(folder / 'out' / 'b', folder / 'c')

    assert found_by(read, tmp_path) == []


def test_a_seed_gives_the_same_files_and_others_differ(tmp_path):
    def files_of(seed):
        reader.write(tmp_path / 'files', seed=seed)
        return {
            str(path.relative_to(tmp_path)): path.read_bytes() if path.is_file() else b'folder'
            for path in sorted((tmp_path / 'files').rglob('*'))
        }

    reader = Reader('r', {'a.txt': b'1 2\n', 'sub/b.json': b'{"c": [1, "d"]}'}, print, renames=True)
    assert files_of(None) == {
        'files/a.txt': b'1 2\n',
        'files/sub': b'folder',
        'files/sub/b.json': b'{"c": [1, "d"]}',
    }
    versions = [files_of(seed) for seed in range(60)]
    assert [files_of(seed) for seed in range(60)] == versions
    assert len({str(version) for version in versions}) > 40
    names = {tuple(version) for version in versions}
    assert len(names) > 3  # some are renamed or removed


def test_only_the_files_to_break_are_broken(tmp_path):
    reader = Reader('r', {'a.txt': b'1 2\n', 'b.txt': b'3\n'}, print, fuzzed=('b.txt',))
    for seed in range(20):
        reader.write(tmp_path / 'files', seed=seed)
        assert (tmp_path / 'files' / 'a.txt').read_bytes() == b'1 2\n'


def test_a_seed_can_be_tried_alone(tmp_path):
    def read(folder):
        raise TypeError('x')

    finding, refused = try_seed(Reader('r', FILES, read), 7, tmp_path / 'files')
    assert (finding.seed, finding.kind, refused) == (7, 'TypeError', True)
    assert Path(tmp_path / 'files' / 'a.txt').exists()


def test_findings_are_grouped_by_their_place(tmp_path):
    def read(folder):
        raise TypeError('first')

    findings, _ = fuzz(Reader('r', FILES, read), range(5), folder=tmp_path)
    (line,) = summarize(findings)
    assert line.startswith('5 x r seed 0: TypeError test_fuzzing.py:')
