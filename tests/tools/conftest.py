"""A model that trains in seconds, in a user's project outside of mmp2seg; stand-ins for tools."""

import importlib.util
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from .fake_tools import FAKE_TOOL, FAKE_TOOLS

ROOT = Path(__file__).resolve().parents[2]

TOY_MODULE = """
import torch
from mmcv.cnn import build_norm_layer
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from torch import nn
from torch.utils.data import Dataset


@DATASETS.register_module()
class ToyData(Dataset):
    metainfo = {}

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return dict(inputs=torch.full((2, 4, 4), float(index)), data_samples=index)


@MODELS.register_module()
class ToyModel(BaseModel):
    def __init__(self, norm_cfg):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1)
        self.norm = build_norm_layer(norm_cfg, 3)[1]

    def forward(self, inputs, data_samples, mode):
        out = self.norm(self.conv(inputs))
        if mode == 'loss':
            return dict(loss=(out - 1).square().mean())
        return [dict(index=int(i), value=v) for i, v in zip(data_samples, out.mean((1, 2, 3)))]


@METRICS.register_module()
class ToyMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [sample['index'] for sample in data_samples]

    def compute_metrics(self, results):
        return dict(seen=len(results), sum=sum(results))
"""

TOY_CONFIG = """
default_scope = 'mmengine'
custom_imports = dict(imports=['toy_module'], allow_failed_imports=False)
model = dict(type='ToyModel', norm_cfg=dict(type='SyncBN'))
loader = dict(batch_size=2, num_workers=0, collate_fn=dict(type='default_collate'))
sampler = dict(type='DefaultSampler', shuffle=False)
train_dataloader = dict(
    **loader, dataset=dict(type='ToyData', length=8), sampler=dict(type='InfiniteSampler'))
test_dataloader = dict(**loader, dataset=dict(type='ToyData', length=5), sampler=sampler)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=3)
test_cfg = dict(type='TestLoop')
test_evaluator = dict(type='ToyMetric')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1))
log_processor = dict(by_epoch=False)
auto_scale_lr = dict(base_batch_size=4, enable=False)
randomness = dict(seed=0)
"""


class ToyProject:
    """A folder with ``toy_module.py`` and ``toy.py``; runs the tools of the checkout on it."""

    def __init__(self, folder):
        self.folder = folder
        self.config = folder / 'toy.py'
        self.work_dir = folder / 'work'
        (folder / 'toy_module.py').write_text(TOY_MODULE)
        self.config.write_text(TOY_CONFIG)

    def run(self, *command):
        """Run ``command`` in the folder, without CUDA; returns the finished process."""
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            port = probe.getsockname()[1]
        environment = dict(
            os.environ,
            PYTHONPATH=str(self.folder),
            PYTHON=sys.executable,
            PORT=str(port),
            CUDA_VISIBLE_DEVICES='-1',
            OMP_NUM_THREADS='1',
        )
        for name in ('LOCAL_RANK', 'RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'):
            environment.pop(name, None)
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def tool(self, name, *arguments):
        """Run ``tools/<name>``, a Python or a shell script, with --work-dir."""
        interpreter = 'bash' if name.endswith('.sh') else sys.executable
        return self.run(interpreter, ROOT / 'tools' / name, *arguments, '--work-dir', self.work_dir)


@pytest.fixture
def toy_project(tmp_path):
    return ToyProject(tmp_path)


@pytest.fixture
def mistake_of(toy_project, monkeypatch):
    """Returns a function that runs a Python tool in this process and returns its exit code."""

    def run(name, *arguments):
        monkeypatch.chdir(toy_project.folder)
        monkeypatch.setattr(sys, 'argv', [name, *arguments])
        monkeypatch.setattr(sys, 'path', [str(toy_project.folder), *sys.path])
        monkeypatch.setattr(os, 'environ', dict(os.environ))
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        with pytest.raises(SystemExit) as info:
            runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
        return info.value.code

    return run


@pytest.fixture
def load_with_fake_tools(tmp_path, monkeypatch):
    """Returns a function that loads a tool as a module, with stand-ins for the tools it runs."""

    def load(path):
        spec = importlib.util.spec_from_file_location(f'mmp2seg_{path.stem}', path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setattr(sys, 'path', list(sys.path))
        monkeypatch.setattr(os, 'environ', dict(os.environ))
        spec.loader.exec_module(module)
        monkeypatch.setattr(module, 'TOOLS', tmp_path / 'tools')
        shared = sys.modules['mmp2seg.experiments.arguments']
        monkeypatch.setattr(shared, 'end_like_interrupted', lambda *_: None)
        for name, code in FAKE_TOOLS.items():
            fake = module.TOOLS / name
            fake.parent.mkdir(parents=True, exist_ok=True)
            fake.write_text(FAKE_TOOL + code)
        return module

    return load
