import itertools
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmp2seg.analysis.soak import training
from mmp2seg.analysis.soak.training import soak_training
from mmp2seg.analysis.soak.usage import find_growth
from mmp2seg.apis.runner import load_config

CONFIG = Path(__file__).resolve().parents[3] / 'configs' / 'p2seg' / 'tiny_shapes.py'
FAST = {'train_dataloader.batch_size': 2, 'default_hooks.logger.interval': 1}

pytestmark = pytest.mark.skipif(not os.path.isdir('/proc/self/fd'), reason='needs /proc')


def soak(folder, **options):
    cfg = load_config(str(CONFIG), cfg_options=FAST)
    return soak_training(cfg, folder, num_images=4, **options)


def test_steps_are_done_and_looked_at_until_the_time_is_over(tmp_path, monkeypatch):
    clock = itertools.count(0, 0.5)  # a step takes half a second
    monkeypatch.setattr(training, 'time', SimpleNamespace(monotonic=lambda: next(clock)))
    seen = []
    usages = soak(tmp_path, minutes=2 / 60, interval=1.0, num_workers=0, report=seen.append)
    assert seen == usages
    assert [(usage.seconds, usage.steps) for usage in usages] == [(0.5, 1), (1.0, 2), (2.0, 4)]
    assert all(usage.resident_mb > 50 and usage.open_files > 3 for usage in usages)


@pytest.mark.slow
def test_a_minute_is_flat(tmp_path):
    usages = soak(tmp_path, minutes=1.0, interval=1.0)
    assert find_growth(usages, warm_up=0.5) == []
    assert usages[-1].processes >= 2


@pytest.mark.slow
def test_a_leak_is_found(tmp_path, monkeypatch):
    kept, read = [], training.read_usage

    def leak(*args):
        kept.append((bytearray(4 * 2**20), os.dup(0)))
        return read(*args)

    monkeypatch.setattr(training, 'read_usage', leak)
    growth = find_growth(soak(tmp_path, minutes=0.5, interval=1.0, num_workers=0))
    assert [line.split(':')[0] for line in growth] == ['memory in MiB', 'open files']
    for _, handle in kept:
        os.close(handle)
