import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from torch.utils.data import DataLoader, Dataset

from mmp2seg.engine.data_workers import init_worker, report_in_worker
from mmp2seg.registry import FUNCTIONS

# A loader whose worker blocks, as the results do not fit into the pipe and nobody reads them.
SCRIPT = """
import time
from torch.utils.data import DataLoader
from mmp2seg.engine.data_workers import init_worker

class Large:
    def __len__(self):
        return 100

    def __getitem__(self, index):
        return 'x' * 10_000_000

if __name__ == '__main__':
    loader = DataLoader(
        Large(), num_workers=1, worker_init_fn=init_worker, collate_fn=list, prefetch_factor=8
    )
    batches = iter(loader)
    next(batches)
    print(batches._workers[0].pid, flush=True)
    time.sleep(600)
"""


class Numbers(Dataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return np.random.rand()  # noqa: NPY002


def lives(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux has this')
def test_a_worker_dies_with_its_parent(tmp_path):
    script = tmp_path / 'train.py'
    script.write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    try:
        time.sleep(0.5)  # until its pipe is full
        assert lives(worker)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 3
        while lives(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not lives(worker)
    finally:
        if lives(worker):
            os.kill(worker, signal.SIGKILL)


def test_workers_have_different_seeds():
    numbers = [
        float(value) for value in DataLoader(Numbers(), num_workers=2, worker_init_fn=init_worker)
    ]
    assert len(set(numbers)) == 2


class Hooks(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return sys.excepthook.__name__


def test_a_worker_whose_training_has_gone_prints_no_traceback(capsys):
    loader = DataLoader(Hooks(), num_workers=1, worker_init_fn=init_worker, collate_fn=list)
    assert list(loader) == [['report_in_worker']]
    for error in (EOFError(), ConnectionResetError(104, 'reset')):
        report_in_worker(type(error), error, None)
    assert capsys.readouterr().err == ''
    report_in_worker(ValueError, ValueError('a bug'), None)
    assert capsys.readouterr().err == 'ValueError: a bug\n'


def test_it_is_registered():
    assert FUNCTIONS.get('mmp2seg.init_worker') is init_worker
