import json
import runpy
from pathlib import Path

import pytest

from .tool_runs import run_tool

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs' / 'ablations' / 'tiny_shapes_s2i_i2s.py')
TOOL = runpy.run_path(str(ROOT / 'tools' / 'analysis_tools' / 'get_flops.py'))


@pytest.fixture(autouse=True)
def _keep_threads(monkeypatch):
    monkeypatch.setattr('mmp2seg.analysis.benchmarks.measuring.Settings.apply', lambda self: None)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')


def test_table_and_json(tmp_path, capsys):
    out = tmp_path / 'flops.json'
    command = [CONFIG, '--shape', '30', '40', '--points', '3', '--repeat', '1', '--device', 'cpu']
    TOOL['main']([*command, '--threads', '1', '--json', str(out), '--rounds', '1'])
    printed = capsys.readouterr()
    assert 'image 30 x 40, network input 32 x 64, 3 points, batch 1' in printed.out
    assert '1 thread' in printed.out
    for name in ('without affinity', 'with affinity, 1 round', 'propagation', 'grouping'):
        assert f'| {name} ' in printed.out
    assert printed.err.count('measuring: ') == 2
    figures = json.loads(out.read_text())
    assert figures['case']['shape'] == [30, 40]
    assert '1 thread' in figures['machine']
    assert [network['rounds'] for network in figures['networks']] == [0, 1]
    propagation = figures['networks'][1]['parts'][-4]
    assert propagation['name'] == 'propagation'
    assert propagation['macs'] > 0 and propagation['seconds'] > 0


def test_settings_can_be_replaced(capsys):
    options = ['--device', 'cpu', '--repeat', '0', '--shape', '32', '32']
    TOOL['main']([CONFIG, *options, '--cfg-options', 'model.affinity_head=None'])
    printed = capsys.readouterr().out
    assert 'affinity head' not in printed
    assert 'ms: ' not in printed


def test_mistakes_are_named(capsys):
    refine = ROOT / 'configs' / 'refine' / 'mask-rcnn_tiny_shapes.py'
    with pytest.raises(SystemExit, match='get_flops.py: error: config not found: none.py'):
        run_tool('get_flops', 'none.py')
    with pytest.raises(SystemExit, match='get_flops.py: error: .*expected a stage-1 config'):
        run_tool('get_flops', refine, '--device', 'cpu')
    for option, minimum in (
        *(('--points', 1), ('--batch', 1), ('--shape', 1)),
        *(('--rounds', 0), ('--repeat', 0)),
    ):
        with pytest.raises(SystemExit):
            run_tool('get_flops', CONFIG, option, minimum - 1, 8)
        message = f'argument {option}: expected at least {minimum}, got {minimum - 1}'
        assert message in capsys.readouterr().err


def test_defaults_are_table_11_s():
    args = TOOL['parse_args']([CONFIG])
    assert tuple(args.shape) == (375, 500)
    assert tuple(args.rounds) == (0, 1)
    assert (args.batch, args.phase) == (1, 'test')
