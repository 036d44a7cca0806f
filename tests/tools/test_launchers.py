"""The shell scripts that launch train.py and test.py, with programs that print their arguments."""

import concurrent.futures
import os
import subprocess
import sys
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


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_test.sh'])
def test_several_machines(run_script, name):
    arguments = ['c.py', *(['c.pth'] if 'test' in name else []), '4']
    machines = dict(NNODES='3', NODE_RANK='2', MASTER_ADDR='10.0.0.5', PORT='1234')
    lines = run_script(name, *arguments, **machines).stdout.splitlines()
    given = [line for line in lines if line.startswith(('--n', '--master'))]
    assert given == [
        '--nnodes=3',
        '--node_rank=2',
        '--master_addr=10.0.0.5',
        '--master_port=1234',
        '--nproc_per_node=4',
    ]
    lines = run_script(name, *arguments).stdout.splitlines()
    assert {'--nnodes=1', '--node_rank=0', '--master_addr=127.0.0.1', '--master_port=29500'} <= set(
        lines
    )


@pytest.mark.parametrize(
    ('variables', 'expected'),
    [
        ({}, (8, 8, 5)),
        (dict(GPUS='3'), (3, 3, 5)),
        (dict(GPUS='16'), (16, 8, 5)),
        (dict(GPUS='16', GPUS_PER_NODE='4', CPUS_PER_TASK='3'), (16, 4, 3)),
        (dict(GPUS='2', GPUS_PER_NODE='1'), (2, 1, 5)),
    ],
)
@pytest.mark.parametrize('name', ['slurm_train.sh', 'slurm_test.sh'])
def test_tasks_of_a_slurm_job(run_script, name, variables, expected):
    arguments = ['part', 'job', 'c.py', *(['c.pth'] if 'test' in name else [])]
    lines = run_script(name, *arguments, **variables).stdout.splitlines()
    tasks, per_node, cpus = expected
    assert {
        f'--ntasks={tasks}',
        f'--ntasks-per-node={per_node}',
        f'--gres=gpu:{per_node}',
        f'--cpus-per-task={cpus}',
        '--kill-on-bad-exit=1',  # a rank that fails must not leave the others waiting
    } <= set(lines)


@pytest.mark.parametrize(
    'name', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
)
def test_too_few_arguments(run_script, name):
    process = run_script(name, 'c.py')
    assert process.returncode == 2
    assert process.stderr.startswith(f'usage: bash tools/{name}')


# Starts the tasks of a job as Slurm does: each knows its number, their number and the nodes.
_SRUN = """
import os, subprocess, sys
program = next(i for i, word in enumerate(sys.argv) if word.endswith('task'))
options = dict(word[2:].split('=', 1) for word in sys.argv[1:program])
command = sys.argv[program:]
count, per_node = int(options['ntasks']), int(options['ntasks-per-node'])
nodes = ','.join(f'node{i}' for i in range(-(-count // per_node)))
tasks = [
    subprocess.Popen(command, env={
        **os.environ, 'SLURM_PROCID': str(rank), 'SLURM_LOCALID': str(rank % per_node),
        'SLURM_NTASKS': str(count), 'SLURM_NODELIST': nodes, 'MASTER_PORT': '29777',
    })
    for rank in range(count)
]
sys.exit(max(task.wait(timeout=300) for task in tasks))
"""
# Joins the group as train.py does with --launcher slurm, but over gloo and without a GPU.
_TASK = """
import os, sys
import torch
from mmengine import dist
assert sys.argv[-2:] == ['--launcher', 'slurm'], sys.argv
torch.cuda.set_device = lambda device: None
dist.init_dist('slurm', backend='gloo')
ranks = torch.tensor([float(dist.get_rank())])
dist.all_reduce(ranks)
line = f"{dist.get_rank()} {dist.get_world_size()} {ranks.item()} {os.environ['LOCAL_RANK']}\\n"
os.write(1, line.encode())  # at once: four processes write to one pipe
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_the_tasks_of_a_slurm_job_find_each_other(tmp_path):
    programs = {
        'srun': f'#!{sys.executable}\n{_SRUN}',
        'task': f'#!{sys.executable}\n{_TASK}',
        'scontrol': '#!/bin/sh\n[ "$*" = "show hostname node0,node1" ] && echo localhost\n',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    process = subprocess.run(
        ['bash', str(TOOLS / 'slurm_train.sh'), 'part', 'job', 'c.py'],
        env={
            **os.environ,
            'PATH': f'{tmp_path}:{os.environ["PATH"]}',
            'PYTHON': str(tmp_path / 'task'),
            'GPUS': '4',
            'GPUS_PER_NODE': '2',
        },
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    lines = sorted(line for line in process.stdout.splitlines() if line[:1].isdigit())
    assert lines == ['0 4 6.0 0', '1 4 6.0 1', '2 4 6.0 0', '3 4 6.0 1']


@pytest.mark.slow
def test_two_machines_train_together(toy_project):
    """Two calls of dist_train.sh, as on two machines, here on one."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        machines = [
            pool.submit(
                toy_project.run,
                *('env', 'NNODES=2', f'NODE_RANK={rank}', 'MASTER_ADDR=127.0.0.1', 'PORT=29778'),
                *('bash', TOOLS / 'dist_train.sh', toy_project.config, '1'),
                *('--work-dir', toy_project.work_dir),
            )
            for rank in range(2)
        ]
        first, second = (machine.result() for machine in machines)
    for process in (first, second):
        assert process.returncode == 0, process.stderr
    log = first.stdout + first.stderr
    assert 'Distributed training: True' in log
    assert 'GPU number: 2' in log  # processes of all machines
    assert (toy_project.work_dir / 'iter_3.pth').is_file()
