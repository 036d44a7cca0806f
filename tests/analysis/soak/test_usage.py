import mmap
import os
import subprocess
import sys

import pytest

from mmp2seg.analysis.soak import usage
from mmp2seg.analysis.soak.usage import Usage, find_growth, read_usage

pytestmark = pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='needs /proc')


def test_memory_files_and_processes_are_counted(tmp_path):
    before = read_usage(1.0, 2)
    assert (before.seconds, before.steps) == (1.0, 2)
    code = 'import subprocess, sys; subprocess.run(["cat"], stdin=sys.stdin)'
    with open(tmp_path / 'file', 'w'):
        block = mmap.mmap(-1, 64 * 2**20)  # malloc may reuse what earlier tests left resident
        block[::4096] = bytes(len(block[::4096]))
        child = subprocess.Popen(
            [sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        try:
            after = read_usage(1.0, 2)
            while after.processes < before.processes + 2:  # the child and its child
                assert child.poll() is None
                after = read_usage(1.0, 2)
        finally:
            child.communicate()
    assert after.resident_mb > before.resident_mb + 60 and len(block)
    assert after.open_files > before.open_files + 1 + 3
    assert read_usage(1.0, 2).processes == before.processes


def usages(memory=lambda k: 500, files=lambda k: 20, processes=lambda k: 2, number=40):
    return [Usage(float(k), k, memory(k), files(k), processes(k)) for k in range(number)]


def test_what_is_flat():
    assert find_growth(usages()) == []
    assert find_growth(usages(memory=lambda k: min(500, 100 * k))) == []  # caches at the start
    assert find_growth(usages(memory=lambda k: 500 + 10 * (k % 7))) == []
    assert find_growth(usages(files=lambda k: 20 + (k % 5 == 0))) == []  # a checkpoint is written
    assert find_growth(usages(memory=lambda k: 5000 + k)) == []  # less than 2 %


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(memory=lambda k: 500 + 2 * k), 'memory in MiB: 529 at first, 569 at the end'),
        (dict(files=lambda k: 20 + k // 10), 'open files: 21 at first, 23 at the end'),
        (dict(processes=lambda k: 2 + k // 20), 'processes: 2 at first, 3 at the end'),
    ],
)
def test_what_grows(change, message):
    assert find_growth(usages(**change)) == [message]


def test_too_few_values():
    for few in ([], usages(number=7)):
        with pytest.raises(ValueError, match='at least 6 values'):
            find_growth(few)


def test_a_process_that_ends_meanwhile(monkeypatch):
    before = read_usage(0.0, 0)
    monkeypatch.setattr(usage, '_descendants', lambda pid: [2**30])
    assert read_usage(0.0, 0).open_files <= before.open_files
