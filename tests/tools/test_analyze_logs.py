import json

import pytest
from PIL import Image

from .tool_runs import run_tool


def test_runs_side_by_side(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in 'ab':
        folder = tmp_path / name / '1' / 'vis_data'
        folder.mkdir(parents=True)
        entries = [dict(loss=2.0, step=1), dict(loss=1.0, step=2), {'coco/mAP': 0.5, 'step': 2}]
        (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, entries)))
    run_tool('analyze_logs', 'a', 'b')
    assert Image.open('curves.png').size == (840, 330)  # loss and mAP
    table = [line.replace('|', ' ').split() for line in capsys.readouterr().out.splitlines()]
    assert ['a', 'coco/mAP', '0.5', '0.5', '2'] in table
    assert ['b', 'coco/mAP', '0.5', '0.5', '2'] in table
    run_tool('analyze_logs', 'a', '--keys', 'loss', '--out', 'new/loss.svg')
    assert '<svg' in (tmp_path / 'new' / 'loss.svg').read_text()


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(SystemExit) as error:
        run_tool('analyze_logs', tmp_path)
    assert 'expected logs */vis_data/scalars.json, got none' in error.value.code
