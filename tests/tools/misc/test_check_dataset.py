import importlib.util
import json
import runpy
import sys
from pathlib import Path

import pytest

from mmp2seg.testing import write_tiny_voc

TOOL = Path(__file__).resolve().parents[3] / 'tools' / 'misc' / 'check_dataset.py'


@pytest.fixture
def main():
    spec = importlib.util.spec_from_file_location('tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


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


def test_sound(main, config, tmp_path, capsys):
    assert main([str(config), '--json', str(tmp_path / 'out.json')]) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith('no problems found\n')
    assert 'task/s' not in printed.out and '3/3' in printed.err
    assert json.loads((tmp_path / 'out.json').read_text())['counts']['images'] == 3


def test_problems(main, config, tmp_path, capsys):
    (tmp_path / 'JPEGImages' / 'img_2.jpg').unlink()
    (tmp_path / 'train_cls.txt').write_text('img_1 0\n')
    out = tmp_path / 'out.json'
    arguments = ['--image-classes', str(tmp_path / 'train_cls.txt'), '--hash', '--num-workers', '1']
    assert main([str(config), '--json', str(out), '--split', 'test', *arguments]) == 1
    problems = json.loads(out.read_text())['problems']
    assert {kind: len(lines) for kind, lines in problems.items()} == dict(
        missing=1, image_classes=2
    )
    assert '3 problems found' in capsys.readouterr().out


def test_cannot_be_checked(main, config, tmp_path, capsys):
    assert main([str(tmp_path / 'gone.py')]) == 2
    assert 'error: config not found' in capsys.readouterr().err
    options = ['--cfg-options', 'train_dataloader.dataset.ann_file=gone.txt']
    assert main([str(config), *options]) == 2
    assert 'gone.txt' in capsys.readouterr().err
    with pytest.raises(SystemExit) as info:
        main([])
    assert info.value.code == 2


def test_exit_status(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), str(tmp_path / 'gone.py')])
    with pytest.raises(SystemExit) as info:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert info.value.code == 2
