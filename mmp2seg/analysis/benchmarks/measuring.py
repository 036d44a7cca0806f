"""Measure time and memory of a call, in this process or in a fresh one."""

import contextlib
import os
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import cv2
import torch

from mmp2seg.analysis.tables import format_count

_MEGABYTE = 2**20


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        device: 'cpu' or 'cuda'.
        threads: threads of torch and OpenCV.
        repeat: timed calls, after one warm-up call. 0, for long calls in a fresh process: the call
            whose memory is measured is the only one and is timed.
    """

    device: str = 'cpu'
    threads: int = 1
    repeat: int = 5

    def apply(self) -> None:
        """Set the number of threads of this process."""
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(self.threads)

    def describe(self) -> str:
        """Describe the machine, with the same text on all machines of this type."""
        if self.device == 'cuda':
            kind = f'{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}'
        else:
            kind = f'{available_cores()}-core CPU'
        return f'{kind}, torch {torch.__version__}, {format_count(self.threads, "thread")}'


@dataclass(frozen=True)
class Measurement:
    """Time and memory of calls.

    Attributes:
        seconds: of each timed call; empty if the memory of the machine is too small.
        memory_mb: peak memory of a call in MiB, minus the memory before it; None = not measured. On
            a CPU it is resident memory, on CUDA allocated memory.
        cpu_seconds: of each timed call, the time that this process computed. Other jobs of the
            machine do not change it much.
    """

    seconds: tuple[float, ...]
    memory_mb: float | None = None
    cpu_seconds: tuple[float, ...] = ()

    @property
    def median(self) -> float | None:
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def fastest(self) -> float | None:
        return min(self.seconds, default=None)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    affinity = getattr(os, 'sched_getaffinity', None)  # missing on some systems
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def time_calls(
    call: Callable[[], object], settings: Settings, *, warm_up: bool = True
) -> Measurement:
    """Time ``repeat`` calls in this process, by default after one warm-up call."""
    if warm_up:
        call()
    seconds, cpu_seconds = [], []
    for _ in range(settings.repeat):
        _synchronize(settings.device)
        start, cpu_start = time.perf_counter(), time.process_time()
        call()
        _synchronize(settings.device)
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
    return Measurement(tuple(seconds), cpu_seconds=tuple(cpu_seconds))


def time_in_turns(calls: Sequence[Callable[[], object]], settings: Settings) -> list[Measurement]:
    """Time calls in this process one after the other, ``repeat`` times, after two warm-up rounds.

    Whatever else loads the machine meets all calls alike, so their ratios are more exact than those
    of calls that are timed one by one. Each round starts with another call.
    """
    found: list[list[Measurement]] = [[] for _ in calls]
    once = replace(settings, repeat=1)
    for turn in range(2 + settings.repeat):
        for place in range(len(calls)):
            index = (turn + place) % len(calls)
            measured = time_calls(calls[index], once, warm_up=False)
            if turn >= 2:
                found[index].append(measured)
    return [
        Measurement(
            tuple(one.seconds[0] for one in of_call),
            cpu_seconds=tuple(one.cpu_seconds[0] for one in of_call),
        )
        for of_call in found
    ]


def measure_in_fresh_process(
    make_call: Callable[[Mapping], Callable[[], object]],
    options: Mapping,
    settings: Settings,
    *,
    warm_up: Mapping | None = None,
    count_setup: bool = False,
) -> Measurement:
    """Measure time and peak memory of ``make_call(options)()`` in a new process.

    A new process has no memory left over from another case. Memory is measured during the first
    call, with ``count_setup`` also during the second one; the calls after that are timed.

    Args:
        make_call: a function at the top level of a module; returns the call to measure.
        options: its argument, plain values.
        settings: how to measure.
        warm_up: options of a smaller case to call before memory is measured, so that what libraries
            load and allocate on the first call is not counted.
        count_setup: measure memory from before ``make_call``, e.g. for a network with its weights;
            otherwise from after it.

    Returns:
        Measurement: without values if the memory of the machine is too small.
    """
    arguments = (make_call, options, settings, warm_up, count_setup)
    try:
        with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
            return pool.submit(_measure, *arguments).result()
    except (BrokenProcessPool, MemoryError, torch.cuda.OutOfMemoryError):
        return Measurement(())
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # torch on a CPU
            raise
        return Measurement(())


def _measure(
    make_call: Callable[[Mapping], Callable[[], object]],
    options: Mapping,
    settings: Settings,
    warm_up: Mapping | None,
    count_setup: bool,
) -> Measurement:
    settings.apply()
    if warm_up is not None:
        make_call(warm_up)()
    call = None if count_setup else make_call(options)
    with PeakMemory(settings.device) as peak:
        call = call or make_call(options)
        if settings.repeat == 0:
            only = time_calls(call, replace(settings, repeat=1), warm_up=False)
        else:
            call()
        if (
            count_setup and settings.repeat
        ):  # an optimizer allocates its state at the end of the first step
            call()
    if settings.repeat == 0:
        return replace(only, memory_mb=peak.megabytes)
    return replace(time_calls(call, settings, warm_up=False), memory_mb=peak.megabytes)


class PeakMemory:
    """Context that sets ``megabytes`` to the rise of memory in it, None if unknown."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.megabytes: float | None = None
        self._before: float | None = None

    def __enter__(self) -> 'PeakMemory':
        _synchronize(self.device)
        if self.device == 'cuda':
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated() / _MEGABYTE
        else:
            _reset_peak()
            self._before = _resident_megabytes('VmRSS')
        return self

    def __exit__(self, *error: object) -> None:
        _synchronize(self.device)
        if self.device == 'cuda':
            peak = torch.cuda.max_memory_allocated() / _MEGABYTE
        else:
            peak = _resident_megabytes('VmHWM')
        if peak is not None and self._before is not None:
            self.megabytes = peak - self._before


def _synchronize(device: str) -> None:
    if device == 'cuda':
        torch.cuda.synchronize()


def _reset_peak() -> None:
    """Reset the peak of this process's resident memory.

    If the system does not allow it, the peak counts from the start of the process. That makes no
    difference to calls that take more memory than the imports.
    """
    with contextlib.suppress(OSError):
        Path('/proc/self/clear_refs').write_text('5')  # man 5 proc


def _resident_megabytes(field: str) -> float | None:
    """VmRSS or VmHWM of this process; None without /proc."""
    try:
        status = Path('/proc/self/status').read_text()
    except OSError:
        return None
    found = re.search(rf'^{field}:\s*(\d+) kB', status, re.M)
    return int(found.group(1)) * 1024 / _MEGABYTE if found else None
