"""No tool runs code of a checkpoint: each door, with a file whose pickle runs a command."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmp2seg.apis.runner import build_runner
from mmp2seg.files.weights_only import weights_only

ROOT = Path(__file__).resolve().parents[2]
STAGE1 = str(ROOT / 'configs' / 'p2seg' / 'tiny_shapes.py')


class Attack:
    def __reduce__(self):
        return os.system, ('touch attacked',)


DOORS = {
    'test.py': [STAGE1, 'evil.pth'],
    'train.py': [STAGE1, '--resume', 'evil.pth'],
    'train.py load_from': [STAGE1, '--cfg-options', 'load_from=evil.pth'],
    'generate_pseudo_labels.py': [STAGE1, 'evil.pth', '--out', 'labels.json'],
    'predict.py': [STAGE1, 'evil.pth', '--images', '.', '--points', 'p.json', '--out', 'l.json'],
    'analysis_tools/draw_stage1.py': [STAGE1, 'evil.pth', '--out-dir', 'pictures'],
    'analysis_tools/draw_affinity.py': [STAGE1, 'evil.pth', 'pictures'],
    'analysis_tools/browse_dataset.py': [STAGE1, '--checkpoint', 'evil.pth', '--out', 'pictures'],
}


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A checkpoint that runs a command, in the current folder."""
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=dict(w=torch.zeros(1)), meta=Attack()), 'evil.pth')


@pytest.mark.parametrize('door', DOORS)
def test_the_file_is_named_and_not_run(mistake_of, toy_project, monkeypatch, door):
    monkeypatch.chdir(toy_project.folder)
    torch.save(dict(state_dict=dict(w=torch.zeros(1)), meta=Attack()), 'evil.pth')
    message = mistake_of(door.split()[0], *DOORS[door])
    assert 'evil.pth: expected weights, got Python objects' in str(message)
    assert '--trust-checkpoint' in message
    assert not Path('attacked').exists()


def test_pretrained_weights_of_a_config(evil):
    from mmp2seg.models.pretrained import PretrainedWeightsError, require_pretrained

    module = torch.nn.Linear(1, 1)
    module.init_cfg = dict(type='Pretrained', checkpoint='evil.pth')
    with weights_only(), pytest.raises(PretrainedWeightsError, match='UnpicklingError'):
        require_pretrained(module)
    assert not Path('attacked').exists()


def test_the_config_in_a_checkpoint_is_not_run_on_resume(toy_project, tmp_path):
    first = toy_project.tool('train.py', toy_project.config)
    assert first.returncode == 0, first.stderr
    file = toy_project.work_dir / 'iter_3.pth'
    checkpoint = torch.load(file, weights_only=False)
    attacked = tmp_path / 'attacked'
    checkpoint['meta']['config'] = f'import os\nos.system("touch {attacked}")\n'
    torch.save(checkpoint, file)
    longer = ('--cfg-options', 'train_cfg.max_iters=5')
    second = toy_project.tool('train.py', toy_project.config, '--resume', *longer)
    assert second.returncode == 0, second.stderr
    assert not attacked.exists()
    assert 'differs from that of the checkpoint' in second.stdout + second.stderr


def test_a_file_of_ones_own_can_be_trusted(toy_project):
    first = toy_project.tool('train.py', toy_project.config)
    assert first.returncode == 0, first.stderr
    file = toy_project.work_dir / 'iter_3.pth'
    checkpoint = torch.load(file, weights_only=False)
    checkpoint['meta']['mine'] = Path('a')  # a Python object
    torch.save(checkpoint, file)
    for options, status in ((), 1), (('--trust-checkpoint',), 0):
        process = toy_project.tool('test.py', toy_project.config, str(file), *options)
        assert process.returncode == status, process.stderr


def test_build_runner_checks_load_from(evil):
    with weights_only(), pytest.raises(Exception, match=r'evil\.pth: expected weights'):
        build_runner(Config(dict(load_from='evil.pth')))
    assert not Path('attacked').exists()
