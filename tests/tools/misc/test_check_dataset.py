import json

import pytest

from mmp2seg.testing import write_tiny_voc

from ..tool_runs import run_tool


@pytest.fixture
def config(tmp_path):
    data = dict(type='mmp2seg.PointVOCDataset', **write_tiny_voc(tmp_path))
    steps = [dict(type='LoadImageFromFile'), dict(type='mmp2seg.LoadPointAnnotations')]
    loader = dict(dataset=dict(data, pipeline=steps))
    path = tmp_path / 'config.py'
    path.write_text(
        f"default_scope = 'mmdet'\ntrain_dataloader = {loader}\ntest_dataloader = {loader}\n"
    )
    return path


def status(*arguments):
    with pytest.raises(SystemExit) as info:
        run_tool('check_dataset', *arguments)
    return info.value.code


def test_sound(config, tmp_path, capsys):
    run_tool('check_dataset', config, '--json', tmp_path / 'out.json')
    printed = capsys.readouterr()
    assert printed.out.endswith('no problems found\n')
    assert 'task/s' not in printed.out and '3/3' in printed.err
    assert json.loads((tmp_path / 'out.json').read_text())['counts']['images'] == 3


def test_problems(config, tmp_path, capsys):
    (tmp_path / 'JPEGImages' / 'img_2.jpg').unlink()
    (tmp_path / 'train_cls.txt').write_text('img_1 0\n')
    out = tmp_path / 'out.json'
    arguments = ['--image-classes', tmp_path / 'train_cls.txt', '--hash', '--num-workers', 1]
    assert status(config, '--json', out, '--split', 'test', *arguments) == 1
    problems = json.loads(out.read_text())['problems']
    assert {kind: len(lines) for kind, lines in problems.items()} == dict(
        missing=1, image_classes=2
    )
    assert '3 problems found' in capsys.readouterr().out


def test_cannot_be_checked(config, tmp_path, capsys):
    assert status(tmp_path / 'gone.py') == 2
    assert 'check_dataset.py: error: config not found' in capsys.readouterr().err
    options = ['--cfg-options', 'train_dataloader.dataset.ann_file=gone.txt']
    assert status(config, *options) == 2
    assert 'gone.txt' in capsys.readouterr().err
    assert status() == 2
