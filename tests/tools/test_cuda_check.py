"""The parts of tools/analysis_tools/cuda_check.{py,sh} that need no CUDA device."""

import json
import os
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmp2seg.ops.affinity import fused
from mmp2seg.testing import affinity_check
from mmp2seg.testing.affinity_check import Finding

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'cuda_check.py'
NO_DEVICE = 'cuda_check.py: error: no CUDA device was found; all checks need one'


@pytest.fixture
def tool(monkeypatch):
    """The names of the tool."""
    monkeypatch.setattr(sys, 'path', list(sys.path))
    return SimpleNamespace(**runpy.run_path(str(TOOL)))


def run(command, **environment):
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '-1', **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_without_a_device_it_says_so():
    process = run([sys.executable, TOOL])
    assert process.returncode == 1
    assert process.stderr == f'{NO_DEVICE}\n'


def write_wheel(folder):
    info = 'toy_of_cuda_check-1.0.dist-info'
    files = {
        'toy_of_cuda_check.py': '',
        f'{info}/METADATA': 'Metadata-Version: 2.1\nName: toy-of-cuda-check\nVersion: 1.0\n',
        f'{info}/WHEEL': 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
    }
    record = ''.join(f'{name},,\n' for name in [*files, f'{info}/RECORD'])
    with zipfile.ZipFile(folder / 'toy_of_cuda_check-1.0-py3-none-any.whl', 'w') as wheel:
        for name, text in {**files, f'{info}/RECORD': record}.items():
            wheel.writestr(name, text)


def test_the_script_adds_packages_to_the_python_with_torch(tmp_path):
    pytest.importorskip('triton')
    packages = tmp_path / 'packages'
    packages.mkdir()
    write_wheel(packages)
    command = ['bash', TOOL.with_suffix('.sh'), packages]
    process = run(command, PYTHON=sys.executable, VENV=str(tmp_path / 'venv'))
    assert process.returncode == 1
    assert process.stderr == f'{NO_DEVICE}\n'  # it found torch and this checkout
    python = tmp_path / 'venv' / 'bin' / 'python'
    imported = run([python, '-c', 'import toy_of_cuda_check as toy; print(toy.__file__)'])
    assert imported.stdout.startswith(str(tmp_path)), imported.stderr


def test_the_script_needs_a_folder(tmp_path):
    process = run(['bash', TOOL.with_suffix('.sh'), tmp_path / 'none'])
    assert process.returncode == 1
    assert process.stderr.startswith('cuda_check.sh: usage:')


def test_findings_become_a_table_and_failures(tool):
    report = tool.Report()
    good = Finding('loss', 'float32', 1e-7, 2e-7, 1e-5)
    bad = Finding('gradient', 'float32', float('nan'), 2e-7, 1e-5)
    tool.add_errors([good, bad], report, 'a case')
    assert report.failures == ['gradient, float32, a case']
    _, _, _, first, second = report.parts[0].splitlines()[-5:]
    assert [cell.strip() for cell in first.split('|')[4:7]] == ['1.0e-07', '1.0e-05', 'ok']
    assert 'FAILED' in second


def test_propagation_is_compared_and_timed(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(affinity_check, 'measure', lambda call: (1.5, 20.0))
    report, args = tool.Report(), tool.parse_args(['--size', '12'])
    tool.check_propagation(args, report, device='cpu')
    agreement, times = report.parts
    assert agreement.startswith('Propagation of scores: 48 x 48 pixels, 12 points')
    assert agreement.count(' ok ') == 5 and report.failures == []
    assert times.count('1.500') == 5


def test_failures_end_with_status_1_and_the_tables_are_written(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(fused, 'triton_available', lambda device: True)
    names = tool.main.__globals__
    names['describe_machine'] = lambda: 'a machine'
    names['check_affinity'] = lambda args, report: report.verdict(False, 'the gradient')
    with pytest.raises(tool.CommandError, match='failed: the gradient'):
        tool.main(['--only', 'affinity', '--work-dir', str(tmp_path)])
    assert (tmp_path / 'cuda_check.md').read_text() == 'a machine\n'


def write_scalars(folder, *losses):
    folder.mkdir(parents=True)
    lines = [
        json.dumps({'lr': 1.0, 'loss': a + b, 'loss_a': a, 'loss_b': b, 'iter': index})
        for index, (a, b) in enumerate(losses)
    ]
    (folder / 'scalars.json').write_text('\n'.join(lines) + '\n')


def test_losses_of_the_last_run_are_compared(tool, tmp_path):
    write_scalars(tmp_path / 'cpu' / '20261122_120000' / 'vis_data', (3.0, 1.0), (2.0, 2.0))
    write_scalars(tmp_path / 'gpu' / '20261122_120000' / 'vis_data', (9.0, 9.0))
    write_scalars(tmp_path / 'gpu' / '20261122_120100' / 'vis_data', (3.0, 1.0), (2.2, 1.9))
    cpu, gpu = (tool.read_losses(tmp_path / name) for name in ('cpu', 'gpu'))
    assert cpu[0] == {'loss': 4.0, 'loss_a': 3.0, 'loss_b': 1.0}
    assert tool.largest_difference(gpu, cpu) == pytest.approx(0.2 / 4)
    assert tool.largest_difference(cpu, cpu) == 0
    for other in ([], cpu[:1], [{'loss': 4.0}, {'loss': 4.0}]):
        assert torch.tensor(tool.largest_difference(other, cpu)).isnan()
    assert torch.tensor(tool.largest_difference([], [])).isnan()
    assert tool.read_losses(tmp_path / 'none') == []


def test_trainings_are_judged(tool, tmp_path):
    def run_of(*losses):
        return [{'loss': loss, 'loss_a': loss} for loss in losses]

    answers = {'CPU': run_of(4.0, 3.0), 'float32': run_of(4.0, float('nan'))}
    answers |= {'float16': run_of(4.05, 9.0), 'bfloat16': run_of(4.5, 3.0)}
    answers['float32, distributed'] = []
    names = tool.check_training.__globals__
    names['run_logged'] = lambda command, log: True
    names['write_start'] = lambda config, file: None
    names['train'] = lambda name, *arguments: answers[name]
    report = tool.Report()
    tool.check_training(tool.parse_args(['--work-dir', str(tmp_path)]), report)
    failed = ('float32', 'bfloat16', 'float32, distributed')
    assert report.failures == [f'training in {name}' for name in failed]
    *_, float16, _, _ = report.parts[0].splitlines()
    cells = [cell.strip() for cell in float16.split('|')[3:8]]
    assert cells == ['9.0000', '2.0e+00', '1.2e-02', '2e-02', 'ok']


def test_a_failed_command_shows_the_end_of_its_output(tool, tmp_path, capsys):
    command = [sys.executable, '-c', 'print("oh no"); exit(3)']
    assert not tool.run_logged(command, tmp_path / 'logs' / 'x.log')
    printed = capsys.readouterr().out
    assert printed.startswith('status 3: ') and printed.endswith('oh no\n')
    assert tool.run_logged([sys.executable, '-c', ''], tmp_path / 'y.log')


def test_the_commands_of_the_trainings_are_those_of_the_tools(tool, tmp_path):
    commands = {}
    names = tool.train.__globals__
    names['run_logged'] = lambda command, log: commands.setdefault(log.stem, command) is None
    args = tool.parse_args(['--iterations', '3'])
    for name in ('CPU', *tool.TRAININGS):
        tool.train(name, args, tmp_path / 'data', tmp_path / 'start.pth', tmp_path)
    assert [Path(command[1]).name for command in commands.values()] == [
        *['train.py'] * 4,
        'dist_train.sh',
    ]
    for name, command in commands.items():
        device = command[command.index('--device') + 1]
        assert device == ('cpu' if name == 'CPU' else 'cuda')
        assert ('--amp' in command) is (name in ('float16', 'bfloat16'))
        assert 'train_cfg.max_iters=3' in command
        assert f'load_from={tmp_path / "start.pth"}' in command
    assert 'optim_wrapper.dtype=bfloat16' in commands['bfloat16']


def test_blocks_are_timed_by_kernel_and_dtype(tool, monkeypatch):
    seen = []
    monkeypatch.setattr(affinity_check, 'measure', lambda call: call())
    monkeypatch.setattr(
        affinity_check,
        'fused_calls',
        lambda case, dtype: {'loss': lambda blocks: seen.append((dtype, blocks))},
    )
    report = tool.Report()
    tool.add_block_times(None, report, 'a case')
    candidates = affinity_check.candidate_blocks()
    assert len(seen) == 3 * len(candidates) and {blocks for _, blocks in seen} == set(candidates)
    assert len(report.parts[0].splitlines()) == 2 + 2 + len(candidates)


def test_blocks_that_break_cuda_are_named(tool, monkeypatch):
    def measure(call):
        raise RuntimeError('illegal access')

    monkeypatch.setattr(affinity_check, 'measure', measure)
    calls = {'loss': lambda blocks: None}
    monkeypatch.setattr(affinity_check, 'fused_calls', lambda case, dtype: calls)
    first = ' '.join(map(str, affinity_check.candidate_blocks()[0]))
    with pytest.raises(tool.CommandError, match=f'loss.*with the blocks {first}: illegal access'):
        tool.add_block_times(None, tool.Report(), 'a case')


def test_all_trainings_start_from_the_same_weights(tool, tmp_path):
    config = ROOT / 'configs' / 'p2seg' / 'tiny_shapes.py'
    files = [tmp_path / name for name in ('one.pth', 'two.pth')]
    for seed, file in enumerate(files):
        torch.manual_seed(seed)
        tool.write_start(config, file)
    one, two = (torch.load(file)['state_dict'] for file in files)
    assert len(one) > 50
    assert all(torch.equal(one[key], two[key]) for key in one)
