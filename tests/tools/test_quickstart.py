import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmp2seg.experiments.phases import PhaseError
from mmp2seg.files.folder_lock import folder_lock

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'quickstart.py'
LABEL_NAMES = ('component', 'nearest', 'p2seg', 'p2seg_nearest')


@pytest.fixture(scope='module')
def quickstart():
    spec = importlib.util.spec_from_file_location('mmp2seg_quickstart', TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses looks for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def chain(quickstart, tmp_path):
    """A chain whose trainings have left checkpoints."""
    for stage in ('stage1', 'stage2'):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / 'last_checkpoint').write_text(f'{stage}/iter_9.pth')
    return quickstart.Chain(tmp_path)


def commands_of(chain):
    return {phase.name: phase.commands() for phase in chain.phases()}


def test_every_command_is_a_tool_with_arguments_that_are_text(chain):
    for commands in commands_of(chain).values():
        for command in commands:
            assert command[0] == sys.executable
            assert Path(command[1]).is_file()
            assert all(isinstance(part, str) for part in command)


def test_only_trainings_resume(chain):
    names = [phase.name for phase in chain.phases()]
    assert names == ['data', 'stage1', 'labels', 'stage2', 'evaluation', 'pictures']
    assert [phase.name for phase in chain.phases() if phase.resumes] == ['stage1', 'stage2']


def test_no_phase_removes_what_another_one_made(chain):
    folders = [phase.folder for phase in chain.phases()]
    assert len(set(folders)) == len(folders)
    assert all(folder.parent == chain.folder for folder in folders)


def test_stage2_learns_what_stage1_wrote(chain):
    commands = commands_of(chain)
    written = [command[command.index('--out') + 1] for command in commands['labels']]
    assert sorted(written) == sorted(str(chain.labels(name)) for name in LABEL_NAMES)
    (train,) = commands['stage2']
    assert f'train_dataloader.dataset.ann_file={chain.labels("p2seg")}' in train
    assert 'stage1/iter_9.pth' in commands['labels'][0]


@pytest.mark.parametrize('option', [dict(seed=1), dict(smoke=True)])
def test_options_change_the_commands_from_the_first_on(quickstart, chain, option):
    other = quickstart.Chain(chain.folder, **option)
    before, after = commands_of(chain), commands_of(other)
    assert all(before[name] != after[name] for name in ('data', 'stage1', 'stage2'))


def test_device_reaches_what_runs_a_network(quickstart, chain):
    commands = commands_of(quickstart.Chain(chain.folder, device='cpu'))
    for name in ('stage1', 'stage2', 'pictures'):
        (command,) = commands[name]
        assert command[command.index('--device') + 1] == 'cpu'


def test_weak_map_miou(quickstart, tmp_path):
    maps = {'SegmentationClass': [[0, 0, 1, 1]], 'WSSS_maps': [[0, 0, 0, 1]]}
    for folder, values in maps.items():
        (tmp_path / folder).mkdir()
        Image.fromarray(np.array(values, np.uint8)).save(tmp_path / folder / 'a.png')
    lists = tmp_path / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('a\n')
    assert quickstart.weak_map_miou(tmp_path) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_table(quickstart, chain, monkeypatch):
    monkeypatch.setattr(quickstart, 'weak_map_miou', lambda data: 0.7)
    (chain.folder / 'evaluation').mkdir()
    for index, name in enumerate(LABEL_NAMES):
        figures = {'mean_iou': 0.5 + index / 100, 'mean_iou_touching': None}
        chain.label_figures(name).write_text(json.dumps(figures))
    log = chain.folder / 'evaluation' / 'stage2' / '20260101_000000'
    log.mkdir(parents=True)
    measured = {'coco/segm_mAP': 0.291, 'coco/segm_mAP_50': -1.0}
    (log / '20260101_000000.json').write_text(json.dumps(measured))
    seconds = {phase.name: 30.0 for phase in chain.phases()}
    lines = quickstart.make_table(chain, seconds).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    values = {row[0]: row[1:] for row in cells}
    assert values['mIoU of the weak semantic maps'] == ['70.0', '']
    assert values['mean IoU of pseudo masks: (c) trained stage 1'] == ['52.0', '-']
    assert values['AP of stage 2 on held-out images'] == ['29.1', '']
    assert values['AP50 of stage 2 on held-out images'] == ['-', '']
    assert values['wall time: together'] == ['3 min 00 s', '']


@pytest.mark.parametrize(
    ('error', 'status', 'message'),
    [
        (KeyboardInterrupt(), 130, 'Interrupted. The same command goes on from here.'),
        (PhaseError('exit status 1 of: x'), 1, 'quickstart: exit status 1 of: x'),
    ],
)
def test_unfinished_runs(quickstart, tmp_path, monkeypatch, capsys, error, status, message):
    def run_phases(*args, **kwargs):
        raise error

    monkeypatch.setattr(quickstart, 'run_phases', run_phases)
    monkeypatch.setattr(quickstart, 'end_like_interrupted', lambda *_: None)
    assert quickstart.main(['--work-dir', str(tmp_path)]) == status
    assert message in capsys.readouterr().err


def test_a_work_dir_in_use_is_an_error(quickstart, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quickstart, 'run_phases', lambda *args, **kwargs: pytest.fail('it ran'))
    with folder_lock(tmp_path):
        assert quickstart.main(['--work-dir', str(tmp_path)]) == 1
    assert 'another command is at work' in capsys.readouterr().err


def test_shell_script_sets_up_and_hands_its_arguments_on(tmp_path):
    (tmp_path / 'tools').mkdir()
    script = tmp_path / 'tools' / 'quickstart.sh'
    script.write_text((ROOT / 'tools' / 'quickstart.sh').read_text())
    (tmp_path / 'tools' / 'setup_env.sh').write_text('MMP2SEG_PYTHON=echo\n')
    process = subprocess.run(
        ['bash', script, '--work-dir', 'a b'], capture_output=True, text=True, cwd=tmp_path
    )
    assert process.stdout == f'{tmp_path}/tools/quickstart.py --work-dir a b\n'


def test_smoke_run_end_to_end_and_a_second_start(tmp_path):
    command = [sys.executable, TOOL, '--smoke', '--device', 'cpu', '--work-dir', tmp_path]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '-1'}
    first = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert first.returncode == 0, first.stdout + first.stderr
    table = (tmp_path / 'table.md').read_text()
    assert table in first.stdout
    assert table.count('mean IoU of pseudo masks') == 4
    assert '/0000000.jpg.png' in ''.join(map(str, (tmp_path / 'pictures').iterdir()))
    second = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert second.returncode == 0
    assert second.stdout.count('finished before') == 6
    assert (tmp_path / 'table.md').read_text() == table
