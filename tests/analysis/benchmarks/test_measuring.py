import mmap
import platform
import sys
import time
from operator import itemgetter

import pytest
import torch

from mmp2seg.analysis.benchmarks import affinity
from mmp2seg.analysis.benchmarks.measuring import (
    Measurement,
    PeakMemory,
    Settings,
    _measure,
    available_cores,
    measure_in_fresh_process,
    time_calls,
)

ON_LINUX = pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
LOSS = dict(grid=16, channels=8, device='cpu', dense=False, full=True)


@pytest.mark.parametrize(('warm_up', 'calls'), [(True, 4), (False, 3)])
def test_repeat_counts_the_timed_calls(warm_up, calls):
    made = []
    found = time_calls(lambda: made.append(1), Settings(repeat=3), warm_up=warm_up)
    assert len(found.seconds) == 3
    assert len(made) == calls
    assert found.memory_mb is None


def test_median_and_fastest():
    assert Measurement((3.0, 1.0, 7.0)).median == 3.0
    assert Measurement((3.0, 1.0, 7.0)).fastest == 1.0
    assert Measurement(()).median is Measurement(()).fastest is None


@ON_LINUX
def test_peak_counts_what_was_freed_and_not_what_was_there():
    # not by torch or numpy: malloc reuses memory that earlier tests have left resident
    with filled_memory(64), PeakMemory('cpu') as peak, filled_memory(128):
        pass
    assert 120 < peak.megabytes < 180
    with PeakMemory('cpu') as peak:
        pass
    assert peak.megabytes < 60


def filled_memory(megabytes):
    """Resident memory from the system, which gets it back at the end of the context."""
    memory = mmap.mmap(-1, megabytes * 2**20)
    memory[::4096] = bytes(len(memory[::4096]))  # a byte of each page
    return memory


@ON_LINUX
def test_fresh_process_times_and_counts_memory():
    found = measure_in_fresh_process(
        affinity.make_loss_call, LOSS, Settings(repeat=2), warm_up={**LOSS, 'grid': 8}
    )
    assert len(found.seconds) == 2
    assert 0 <= found.memory_mb < 200


@pytest.mark.parametrize(('count_setup', 'calls'), [(False, 2), (True, 3)])
def test_an_optimizer_s_state_counts(count_setup, calls):
    """With ``count_setup``, memory includes the second call; one more call is timed."""
    made = []
    settings = Settings(threads=torch.get_num_threads(), repeat=1)
    found = _measure(lambda options: lambda: made.append(options), {}, settings, None, count_setup)
    assert len(made) == calls
    assert len(found.seconds) == 1


@pytest.mark.parametrize('count_setup', [False, True])
def test_without_repeats_the_only_call_is_timed(count_setup):
    made = []
    settings = Settings(threads=torch.get_num_threads(), repeat=0)
    found = _measure(lambda options: lambda: made.append(options), {}, settings, None, count_setup)
    assert len(made) == len(found.seconds) == 1
    assert found.memory_mb is None or found.memory_mb >= 0


def test_other_errors_of_the_fresh_process_come_back():
    with pytest.raises(KeyError, match='channels'):
        # not affinity.make_loss_call, whose module imports mmdet
        measure_in_fresh_process(itemgetter('channels'), dict(grid=4), Settings())


def test_a_case_that_the_machine_has_no_memory_for_has_no_times(monkeypatch):
    monkeypatch.setattr('mmp2seg.analysis.benchmarks.measuring.ProcessPoolExecutor', _NoMemory)
    assert measure_in_fresh_process(affinity.make_loss_call, LOSS, Settings()) == Measurement(())


class _NoMemory:
    def __init__(self, *args, **options):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate ...")


def test_the_machine_is_described_by_its_kind_alone():
    text = Settings('cpu', threads=2).describe()
    assert text == f'{available_cores()}-core CPU, torch {torch.__version__}, 2 threads'
    assert platform.node() not in text
    assert Settings('cpu', threads=1).describe().endswith('1 thread')


def test_settings_hold():
    before = torch.get_num_threads()
    try:
        Settings(threads=1).apply()
        assert torch.get_num_threads() == 1
    finally:
        Settings(threads=before).apply()


def test_cpu_time_leaves_out_waiting():
    found = time_calls(lambda: time.sleep(0.2), Settings(repeat=2), warm_up=False)
    assert len(found.cpu_seconds) == 2
    assert all(cpu < 0.1 < seconds for cpu, seconds in zip(found.cpu_seconds, found.seconds))
