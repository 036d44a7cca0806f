import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from mmp2seg.analysis.benchmarks import parts
from mmp2seg.apis.arguments import CommandError

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools' / 'benchmark.py'
TOOL_NAMES = runpy.run_path(str(TOOL))


def _parse(*argv):
    return TOOL_NAMES['parse_args'](list(argv))


def test_table_and_json(tmp_path):
    out = tmp_path / 'out.json'
    command = [sys.executable, TOOL, '--only', 'pipeline', '--num-images', '1']
    command += ['--image', '40', '56', '--repeat', '2', '--threads', '1', '--json', out]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    lines = [line for line in done.stdout.splitlines() if line]
    machine = next(line for line in lines if 'core CPU' in line)
    assert machine.endswith('1 thread')
    table = [line for line in lines if line.startswith('|')]
    assert len(table) == 3
    assert 'images per second' in table[2]
    figures = json.loads(out.read_text())
    assert figures['machine'] == machine
    assert figures['case']['image'] == [40, 56]
    assert [len(row['seconds']) for row in figures['rows']] == [2]


def test_parts_can_be_chosen():
    chosen = TOOL_NAMES['chosen_parts']
    assert chosen(_parse('--only', 'pipeline', 'step', '--memory')) == [
        'step',
        'pipeline',
        'memory',
    ]
    assert chosen(_parse('--only', '--growth')) == ['growth']
    everything = chosen(
        _parse('--growth', '--turns', '--memory', '--segmenter', '--stream', '7', '--scale', '9')
    )
    assert everything == list(parts.PARTS)
    assert chosen(_parse()) == everything[:-6]


def test_mistakes_are_named(capsys):
    with pytest.raises(CommandError, match='config not found: none.py'):
        _parse('--config', 'none.py')
    for option in (
        '--repeat',
        '--points',
        '--num-images',
        '--segmenter-points',
        '--stream',
        '--scale',
    ):
        with pytest.raises(SystemExit):
            _parse(option, '0')
        message = f'argument {option}: expected at least 1, got 0'
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        _parse('--only', 'speed')
    assert 'affinity' in capsys.readouterr().err


def test_defaults_are_the_issue_s_case():
    args = _parse()
    assert os.path.isfile(args.config)
    case = parts.Case(config=args.config)
    for name in ('grid', 'channels', 'beta', 'radius', 'crop', 'image', 'points', 'num_images'):
        assert getattr(args, name) == getattr(case, name)
    for name in ('memory_sides', 'segmenter_sides', 'segmenter_points'):
        assert getattr(args, name) == getattr(case, name)
    assert args.stream is None
