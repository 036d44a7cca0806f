"""The parts of tools/analysis_tools/cuda_check.{py,sh} that need no CUDA device."""

import os
import runpy
import subprocess
import sys
import zipfile
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmp2seg.analysis.benchmarks import network
from mmp2seg.models.distillation import mutual_distiller
from mmp2seg.ops.affinity import fused
from mmp2seg.testing import affinity_check, batch_check, host_waits, training_check
from mmp2seg.testing.affinity_check import Finding
from mmp2seg.testing.training_check import Group, Training, judge

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


def test_batches_are_compared(tool, monkeypatch):
    monkeypatch.setattr(mutual_distiller, '_can_be_joined', lambda image: True)
    report = tool.Report()
    tool.check_batches(tool.parse_args([]), report, device='cpu')
    assert report.parts[0].count(' ok ') == 2 * len(batch_check.ROUNDS) + 1
    assert report.failures == []


def test_failures_end_with_status_1_and_the_tables_are_written(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(fused, 'triton_available', lambda device: True)
    names = tool.main.__globals__
    names['describe_machine'] = lambda: 'a machine'
    names['check_affinity'] = lambda args, report: report.verdict(False, 'the gradient')
    with pytest.raises(tool.CommandError, match='failed: the gradient'):
        tool.main(['--only', 'affinity', '--work-dir', str(tmp_path)])
    assert (tmp_path / 'cuda_check.md').read_text() == 'a machine\n'


def test_verdicts_become_a_table(tool, tmp_path, monkeypatch):
    losses = {'CPU': [{'loss': 4.0}], 'float32': [{'loss': 4.02}]}
    group = Group('x/y.py', (Training('CPU', reference=None), Training('float32')))
    of_stage2 = Group('x/z.py', (Training('CPU', reference=None),), stage=2)
    monkeypatch.setattr(training_check, 'GROUPS', (group, of_stage2))
    monkeypatch.setattr(training_check, 'has_cuda_operators', lambda: False)
    runner = SimpleNamespace(run=lambda groups: {one.config: judge(one, losses) for one in groups})
    monkeypatch.setattr(training_check, 'Runner', lambda *options: runner)
    report = tool.Report()
    tool.check_training(tool.parse_args(['--work-dir', str(tmp_path)]), report)
    assert report.failures == []
    *_, cpu, float32 = (
        [cell.strip() for cell in line.split('|')[1:-1]] for line in report.parts[1].splitlines()
    )
    assert 'stage 2 are left out' in report.parts[0] and len(report.parts) == 2
    assert cpu == ['CPU', 'loss 4.0000', '4.0000', '', '', '', '', 'ok']
    assert float32[3:] == ['CPU', '5.0e-03', '5.0e-03', '1.0e-02', 'ok']
    losses['float32'] = []
    tool.check_training(tool.parse_args(['--work-dir', str(tmp_path)]), report)
    assert report.failures == ['training of x/y.py in float32']


def test_waits_are_counted_by_place(tool, monkeypatch):
    @contextmanager
    def device_waits():
        found = []
        waits.append(found)
        yield found

    waits, steps = [], []
    monkeypatch.setattr(host_waits, 'device_waits', device_waits)
    monkeypatch.setattr(
        network,
        'make_training_step',
        lambda options: (
            lambda: (
                steps.append(options['step']),
                [found.append('wait (a.py:1)') for found in waits[-1:]],
            )
        ),
    )
    report = tool.Report()
    tool.check_waits(tool.parse_args([]), report)
    assert steps == [name for name in network.STEPS for _ in range(2)]
    rows = report.parts[0].splitlines()[4:]
    assert len(rows) == len(network.STEPS)
    assert all(row.split('|')[2].strip() == 'wait (a.py:1)' for row in rows)


def test_blocks_are_timed_in_processes_of_their_own(tool, monkeypatch):
    candidates, asked = affinity_check.candidate_blocks(), []

    def in_own_process(function, sizes, options):
        asked.append((function, sizes))
        return 'illegal access' if sizes == candidates[1] else {'loss': 1.5, 'propagation': None}

    tool.add_block_times.__globals__['in_own_process'] = in_own_process
    report = tool.Report()
    tool.add_block_times(tool.parse_args([]), report, 'a case')
    assert asked == [(affinity_check.block_times, tuple(blocks)) for blocks in candidates]
    rows = [line.split('|')[1:-1] for line in report.parts[0].splitlines()[2:]]
    cells = [[cell.strip() for cell in row] for row in rows]
    assert cells[0][1:] == ['loss', 'propagation'] and len(cells) == 2 + len(candidates)
    assert cells[2][1:] == ['1.500', '-'] and cells[3][1:] == ['illegal access', '-']


def test_blocks_in_use_must_be_right(tool):
    used, candidates = fused.BLOCKS, affinity_check.candidate_blocks()
    results = {tuple(one): {'loss': (1e-6, True), 'other': None} for one in candidates}
    results[used[0]] = {'loss': (0.5, False)}
    results[used[1]] = results[candidates[-1]] = 'illegal access'
    check = tool.check_blocks
    check.__globals__['in_own_process'] = lambda function, sizes, options: results[sizes]
    report = tool.Report()
    check(tool.parse_args([]), report)
    assert report.failures == [f'blocks {" ".join(map(str, blocks))}' for blocks in used[:2]]
    rows = [
        [cell.strip() for cell in line.split('|')[1:-1]]
        for line in report.parts[0].splitlines()[4:]
    ]
    assert rows[0][1:] == ['yes', '1 of 1 fit; loss: 5.0e-01', 'FAILED']
    assert rows[1][1:] == ['yes', 'illegal access', 'FAILED']
    assert rows[2][1:] == ['yes', '1 of 2 fit', 'ok']
    assert rows[-1][1:] == ['no', 'illegal access', 'fails']


def test_a_broken_process_leaves_its_error(tool):
    assert tool.in_own_process(divmod, 7, 2) == (3, 1)
    assert 'zero' in tool.in_own_process(divmod, 7, 0)
    assert 'terminated' in tool.in_own_process(os._exit, 3)
