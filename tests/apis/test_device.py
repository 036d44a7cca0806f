import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.device import (
    adapt_config_to_cpu,
    init_cpu_process_group,
    resolve_device,
    select_device,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    monkeypatch.setattr(os, 'environ', dict(os.environ))


def test_select_device_reads_only_its_option():
    os.environ['CUDA_VISIBLE_DEVICES'] = '3'
    assert select_device(['cfg.py', '--work-dir', 'x', '--amp']) == 'auto'
    assert os.environ['CUDA_VISIBLE_DEVICES'] == '3'


def test_select_device_cpu_hides_cuda():
    assert select_device(['cfg.py', '--device', 'cpu']) == 'cpu'
    assert os.environ['CUDA_VISIBLE_DEVICES'] == '-1'


def test_select_device_cuda_without_a_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(CommandError, match='--device cuda: no CUDA device'):
        select_device(['--device=cuda'])


@pytest.mark.parametrize('available', [False, True])
def test_resolve_device(monkeypatch, available):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: available)
    assert resolve_device('auto') == ('cuda' if available else 'cpu')
    assert [resolve_device(device) for device in ('cpu', 'cuda')] == ['cpu', 'cuda']


def test_the_module_imports_neither_mmengine_nor_torch():
    # mmengine looks for CUDA devices when it is imported, which select_device must precede
    script = 'import mmp2seg.apis.device, sys; assert not {"mmengine", "torch"} & {*sys.modules}'
    subprocess.run([sys.executable, '-c', script], cwd=ROOT, check=True)


def test_a_plain_config_is_left_as_it_is():
    cfg = Config(dict(model=dict(type='M', norm_cfg=dict(type='BN')), optim_wrapper=dict(lr=1)))
    before = cfg.to_dict()
    assert adapt_config_to_cpu(cfg) == []
    assert cfg.to_dict() == before


def test_sync_bn_becomes_bn_at_any_depth():
    cfg = Config(
        dict(
            model=dict(
                backbone=dict(norm_cfg=dict(type='SyncBN', requires_grad=True, momentum=0.01)),
                heads=[dict(norm_cfg=dict(type='mmcv.SyncBN')), dict(norm_cfg=dict(type='GN'))],
                neck=dict(branches=(dict(norm_cfg=dict(type='MMSyncBN', group=0)),)),
            ),
            sync_bn='torch',
        )
    )
    notes = adapt_config_to_cpu(cfg)
    assert cfg.model.backbone.norm_cfg == dict(type='BN', requires_grad=True, momentum=0.01)
    assert [head.norm_cfg.type for head in cfg.model.heads] == ['BN', 'GN']
    assert cfg.model.neck.branches[0].norm_cfg == dict(type='BN')
    assert cfg.sync_bn is None
    assert notes == ['SyncBN needs CUDA: replaced by BN (3 in the config)']


def test_mixed_precision_becomes_bfloat16_without_loss_scale():
    cfg = Config(
        dict(
            optim_wrapper=dict(
                type='AmpOptimWrapper',
                loss_scale='dynamic',
                dtype='float16',
                accumulative_counts=2,
                optimizer=dict(type='SGD', lr=0.1),
            )
        )
    )
    notes = adapt_config_to_cpu(cfg)
    assert cfg.optim_wrapper == dict(
        type='CPUAmpOptimWrapper', accumulative_counts=2, optimizer=dict(type='SGD', lr=0.1)
    )
    assert len(notes) == 1
    assert 'bfloat16' in notes[0]


def test_pytorch_launcher_gets_gloo_and_modules_on_cpu():
    cfg = Config(
        dict(
            launcher='pytorch',
            find_unused_parameters=True,
            env_cfg=dict(cudnn_benchmark=True, dist_cfg=dict(backend='nccl', timeout=60)),
        )
    )
    assert len(adapt_config_to_cpu(cfg)) == 1
    assert cfg.env_cfg == dict(cudnn_benchmark=True, dist_cfg=dict(backend='gloo', timeout=60))
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        broadcast_buffers=False,
        find_unused_parameters=True,
        device_ids=None,
    )


def test_a_model_wrapper_of_the_config_keeps_its_options():
    wrapper = dict(broadcast_buffers=True, static_graph=True)
    cfg = Config(dict(launcher='pytorch', model_wrapper_cfg=wrapper))
    adapt_config_to_cpu(cfg)
    assert cfg.model_wrapper_cfg == dict(wrapper, device_ids=None)
    assert cfg.env_cfg.dist_cfg.backend == 'gloo'


def test_a_foreign_model_wrapper_is_left_alone():
    cfg = Config(dict(launcher='pytorch', model_wrapper_cfg=dict(type='mmx.Wrapper')))
    adapt_config_to_cpu(cfg)
    assert cfg.model_wrapper_cfg == dict(type='mmx.Wrapper')


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_launchers_that_need_cuda(launcher):
    with pytest.raises(CommandError, match=f'--launcher {launcher} needs CUDA'):
        adapt_config_to_cpu(Config(dict(launcher=launcher)))


def test_process_group_without_a_launcher_names_what_is_missing():
    for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'):
        os.environ.pop(name, None)
    os.environ['RANK'] = '0'
    with pytest.raises(CommandError, match='WORLD_SIZE, MASTER_ADDR, MASTER_PORT not set'):
        init_cpu_process_group(Config(dict()))


SCRIPT = """
import atexit, pathlib

def threads():
    return [path.read_text().strip() for path in pathlib.Path('/proc/self/task').glob('*/comm')]

atexit.register(lambda: print('exit', *threads()))  # registered first, called last

from mmengine.config import Config
from mmp2seg.apis.device import init_cpu_process_group

init_cpu_process_group(Config(dict()))
import mmdet.models
import torch

class Runner:
    # holds the wrapper, and so the group, in a reference cycle, as mmengine's runner does

    def __init__(self):
        self.itself = self
        self.model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1))

Runner()
torch.distributed.barrier()
print('inside', *threads())
"""


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='threads are listed by Linux')
def test_no_thread_of_the_process_group_outlives_it():
    group = dict(RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1', MASTER_PORT='0')
    process = subprocess.run(
        [sys.executable, '-c', SCRIPT], env={**os.environ, **group}, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    inside, at_exit = process.stdout.splitlines()[-2:]
    assert inside.startswith('inside') and 'gloo' in inside
    assert at_exit.startswith('exit') and 'gloo' not in at_exit
