import errno
import os
import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.hooks import CheckpointHook
from mmengine.model import BaseModel
from mmengine.runner import Runner

from mmp2seg.engine import atomic_checkpoints as module
from mmp2seg.files.atomic_write import process_tag


class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(2))

    def forward(self, inputs, mode):
        return dict(loss=(inputs.float().mean() - self.weight).square().sum())


def train(folder, *, hook='mmp2seg.AtomicCheckpointHook', iterations=4, **options):
    runner = Runner(
        model=Net(),
        work_dir=str(folder),
        train_dataloader=dict(
            batch_size=1,
            dataset=[dict(inputs=torch.ones(1))] * 4,
            sampler=dict(type='InfiniteSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(checkpoint=dict(type=hook, by_epoch=False, interval=1, **options)),
        experiment_name=str(folder),
        log_level='ERROR',
    )
    runner.train()
    return runner


def files(folder):
    return sorted(
        path.name for path in Path(folder).iterdir() if path.is_file() and path.suffix != '.py'
    )


@pytest.mark.parametrize('kept', [-1, 1, 2])
def test_the_files_are_those_of_mmengine(tmp_path, kept):
    runners = [
        train(tmp_path / hook, hook=hook, max_keep_ckpts=kept)
        for hook in ('CheckpointHook', 'mmp2seg.AtomicCheckpointHook')
    ]
    theirs, ours = (tmp_path / hook for hook in ('CheckpointHook', 'mmp2seg.AtomicCheckpointHook'))
    assert files(ours) == files(theirs) and 'iter_4.pth' in files(ours)
    assert (ours / 'last_checkpoint').read_text() == str(ours / 'iter_4.pth')
    found = [
        torch.load(folder / 'iter_4.pth', weights_only=False)['message_hub']['runtime_info'].get(
            'keep_ckpt_ids'
        )
        for folder in (theirs, ours)
    ]
    assert found[0] == found[1]
    hook = next(hook for hook in runners[1].hooks if isinstance(hook, CheckpointHook))
    assert isinstance(hook.file_backend, module.AtomicLocalBackend)


@pytest.mark.parametrize('kept', [-1, 1])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, kept):
    write = Path.write_bytes

    def write_some(path, data):
        if 'iter_3' in path.name:
            write(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, data)

    monkeypatch.setattr(Path, 'write_bytes', write_some)
    with pytest.raises(OSError, match='No space left on device') as info:
        train(tmp_path / 'work', max_keep_ckpts=kept)
    assert info.value.filename == str(tmp_path / 'work' / 'iter_3.pth')
    names = ['iter_2.pth', 'last_checkpoint']
    assert files(tmp_path / 'work') == (['iter_1.pth', *names] if kept < 0 else names)
    last = Path((tmp_path / 'work' / 'last_checkpoint').read_text())
    assert torch.load(last, weights_only=False)['meta']['iter'] == 2


def test_last_checkpoint_is_never_empty(tmp_path, monkeypatch):
    """Whatever happens while it is written, the old text stays."""
    train(tmp_path, iterations=1)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, 'fsync', killed)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, iterations=2)
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_1.pth')


def test_the_rest_of_a_killed_training_is_removed(tmp_path):
    process = subprocess.Popen(['true'])
    process.wait()
    tag = process_tag().partition('-')[0]
    (tmp_path / f'.iter_7.pth.{tag}-{process.pid}.tmp').touch()
    (tmp_path / f'.iter_8.pth.{tag}-{os.getppid()}.tmp').touch()  # of a process that is alive
    train(tmp_path, iterations=1)
    assert files(tmp_path) == [
        f'.iter_8.pth.{tag}-{os.getppid()}.tmp',
        'iter_1.pth',
        'last_checkpoint',
    ]


def test_the_best_checkpoint_is_replaced_when_the_new_one_is_there(tmp_path, monkeypatch):
    runner = train(tmp_path, iterations=1, save_best='score', rule='greater')
    hook = next(hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    hook.after_val_epoch(runner, dict(score=1.0))
    (first,) = tmp_path.glob('best_*')
    runner.train_loop._iter = 5

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'write_bytes', full)
        with pytest.raises(OSError, match='No space left'):
            hook.after_val_epoch(runner, dict(score=2.0))
    assert list(tmp_path.glob('best_*')) == [first]
    hook.best_ckpt_path = str(first)
    hook.after_val_epoch(runner, dict(score=3.0))
    (second,) = tmp_path.glob('best_*')
    assert second != first
    hook.after_val_epoch(runner, dict(score=4.0))  # of the same name
    assert list(tmp_path.glob('best_*')) == [second]


def test_a_folder_elsewhere_is_left_to_mmengine():
    hook = module.AtomicCheckpointHook(backend_args=dict(backend='local'))
    assert hook.backend_args == dict(backend='local')
