"""Memory, open files and processes of this process and its descendants, and whether they grow."""

import os
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_PAGE_MB = os.sysconf('SC_PAGE_SIZE') / 2**20 if hasattr(os, 'sysconf') else 0.0
# Growth of memory that is no growth: what allocators keep, and histories of logs.
_SMALL_MB = 20.0
_SMALL_SHARE = 0.02


@dataclass(frozen=True)
class Usage:
    """Resources at a time, of this process and its descendants together.

    Attributes:
        seconds: since the start.
        steps: number of steps that were done.
        resident_mb: resident memory in MiB; memory that processes share counts in each.
        open_files: open file handles.
        processes: number of descendants.
    """

    seconds: float
    steps: int
    resident_mb: float
    open_files: int
    processes: int


def read_usage(seconds: float, steps: int) -> Usage:
    """Read the resources from /proc, which Linux has.

    Raises:
        OSError: there is no /proc.
    """
    pids = [os.getpid(), *_descendants(os.getpid())]
    memory, handles = 0.0, 0
    for pid in pids:
        try:
            pages = int(Path(f'/proc/{pid}/statm').read_text().split()[1])
            handles += len(os.listdir(f'/proc/{pid}/fd'))
        except (ProcessLookupError, FileNotFoundError):
            if pid == os.getpid():
                raise
            continue  # it has just ended
        memory += pages * _PAGE_MB
    return Usage(seconds, steps, memory, handles, len(pids) - 1)


def find_growth(usages: Sequence[Usage], *, warm_up: float = 0.25) -> list[str]:
    """Compare the beginning of a run with its end.

    Args:
        usages: in the order of time.
        warm_up: share of the time at the start that does not count: caches are filled then.

    Returns:
        list: a line for each resource whose median in the last third is larger than in the first
        third: memory by more than 20 MiB and 2 %, others by any number.

    Raises:
        ValueError: fewer than 6 values are left after the warm-up.
    """
    start = usages[0].seconds if usages else 0.0
    end = usages[-1].seconds if usages else 0.0
    kept = [usage for usage in usages if usage.seconds >= start + warm_up * (end - start)]
    if len(kept) < 6:
        raise ValueError(f'expected at least 6 values after the warm-up, got {len(kept)}')
    third = len(kept) // 3
    lines = []
    for name, title in (
        ('resident_mb', 'memory in MiB'),
        ('open_files', 'open files'),
        ('processes', 'processes'),
    ):
        before, after = (
            statistics.median(getattr(usage, name) for usage in part)
            for part in (kept[:third], kept[-third:])
        )
        allowed = max(_SMALL_MB, _SMALL_SHARE * before) if name == 'resident_mb' else 0
        if after > before + allowed:
            lines.append(f'{title}: {before:.0f} at first, {after:.0f} at the end')
    return lines


def _descendants(pid: int) -> list[int]:
    children = defaultdict(list)
    for entry in os.listdir('/proc'):
        if not entry.isdigit():
            continue
        try:
            stat = Path(f'/proc/{entry}/stat').read_text()
        except (ProcessLookupError, FileNotFoundError):
            continue
        children[int(stat.rpartition(')')[2].split()[1])].append(int(entry))
    found = list(children[pid])
    for child in found:  # grows meanwhile
        found += children[child]
    return found
