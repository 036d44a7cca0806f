"""The shell scripts that launch train.py and test.py, with programs that print their arguments."""

import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def run_script(tmp_path):
    """Run a script where `srun` and `python` write their arguments, one per line, and exit 7."""
    for name in ('srun', 'fake_python'):
        program = tmp_path / name
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$@"\nexit 7\n')
        program.chmod(0o755)

    def run(name, *arguments, **environment):
        environment = {
            'PATH': f'{tmp_path}:{os.environ["PATH"]}',
            'PYTHON': str(tmp_path / 'fake_python'),
            **environment,
        }
        return subprocess.run(
            ['bash', str(TOOLS / name), *arguments],
            env=environment,
            capture_output=True,
            text=True,
        )

    return run


def test_dist_train(run_script):
    process = run_script(
        'dist_train.sh', 'a b.py', '4', '--cfg-options', 'x=1 2', PORT='1234', NNODES='2'
    )
    assert process.returncode == 7  # the exit status is passed on
    lines = process.stdout.splitlines()
    assert lines[0] == f'{TOOLS}/..'
    assert lines[1:3] == ['-m', 'torch.distributed.run']
    assert {'--nnodes=2', '--node_rank=0', '--master_port=1234', '--nproc_per_node=4'} <= set(lines)
    assert lines[-6:] == [
        f'{TOOLS}/train.py',
        'a b.py',
        '--launcher',
        'pytorch',
        '--cfg-options',
        'x=1 2',
    ]


def test_dist_test(run_script):
    lines = run_script('dist_test.sh', 'c.py', 'c.pth', '2', '--out', 'o').stdout.splitlines()
    assert '--nproc_per_node=2' in lines
    assert lines[-7:] == [
        f'{TOOLS}/test.py',
        'c.py',
        'c.pth',
        '--launcher',
        'pytorch',
        '--out',
        'o',
    ]


def test_slurm_train(run_script):
    process = run_script(
        'slurm_train.sh', 'part', 'job', 'c.py', '--amp', GPUS='4', SRUN_ARGS='--quiet --exclusive'
    )
    lines = process.stdout.splitlines()
    assert process.returncode == 7
    assert {
        '--partition=part',
        '--job-name=job',
        '--ntasks=4',
        '--gres=gpu:4',
        '--quiet',
        '--exclusive',
    } <= set(lines)
    assert lines[-5:] == [f'{TOOLS}/train.py', 'c.py', '--launcher', 'slurm', '--amp']


def test_slurm_test(run_script):
    lines = run_script('slurm_test.sh', 'part', 'job', 'c.py', 'c.pth').stdout.splitlines()
    assert {'--ntasks=8', '--gres=gpu:8'} <= set(lines)
    assert lines[-5:] == [f'{TOOLS}/test.py', 'c.py', 'c.pth', '--launcher', 'slurm']


@pytest.mark.parametrize(
    'name', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
)
def test_too_few_arguments(run_script, name):
    process = run_script(name, 'c.py')
    assert process.returncode == 2
    assert process.stderr.startswith(f'usage: bash tools/{name}')
