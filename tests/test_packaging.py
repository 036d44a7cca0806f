import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import mmp2seg

ROOT = Path(__file__).resolve().parents[1]
MM_PACKAGES = {'torch', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation'}
MM_PACKAGES |= {'onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmsegmentation'}


def run_setup(*arguments, cwd=ROOT):
    command = [sys.executable, 'setup.py', '--quiet', *arguments]
    process = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def names_in(file_name):
    lines = (ROOT / 'requirements' / file_name).read_text().splitlines()
    lines = [line.split('#')[0].strip() for line in lines]
    return {Requirement(line).name for line in lines if line}


@pytest.fixture(scope='module')
def metadata(tmp_path_factory):
    base = tmp_path_factory.mktemp('egg')
    run_setup('egg_info', '--egg-base', str(base))
    folder = base / 'mmp2seg.egg-info'
    return (folder / 'PKG-INFO').read_text(), (folder / 'requires.txt').read_text()


@pytest.fixture
def copied_project(tmp_path):
    """What git would hold of the packaging, with a small package."""
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'CHANGELOG.md'):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in ('requirements.txt', 'model-index.yml'):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / 'README.md').write_text('# mmp2seg\n')
    (tmp_path / 'requirements').mkdir()
    for path in (ROOT / 'requirements').glob('*.txt'):
        (tmp_path / 'requirements' / path.name).write_bytes(path.read_bytes())
    (tmp_path / 'configs' / 'p2seg').mkdir(parents=True)
    (tmp_path / 'configs' / 'p2seg' / 'one.py').write_text('x = 1\n')
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools' / 'train.py').write_text('')
    (tmp_path / 'tools' / 'dist_train.sh').write_text('')
    (tmp_path / 'mmp2seg' / 'ops').mkdir(parents=True)
    for name in ('__init__.py', 'version.py'):
        (tmp_path / 'mmp2seg' / name).write_bytes((ROOT / 'mmp2seg' / name).read_bytes())
    (tmp_path / 'mmp2seg' / 'ops' / '__init__.py').write_text('')
    return tmp_path


def test_metadata(metadata):
    info, _ = metadata
    assert re.search(rf'^Version: {re.escape(mmp2seg.__version__)}$', info, re.M)
    assert re.search(r'^Requires-Python: >=3\.10$', info, re.M)
    assert re.search(r'^License(-Expression)?: Apache-2\.0$', info, re.M)
    assert set(re.findall(r'^Provides-Extra: (.*)$', info, re.M)) == {'mim', 'tests', 'all'}


def test_versions_agree():
    assert f'## [{mmp2seg.__version__}]' in (ROOT / 'CHANGELOG.md').read_text()
    assert f'Version: v{mmp2seg.__version__}' in (ROOT / 'model-index.yml').read_text()


def test_runtime_requirements_name_no_mm_package_and_no_opencv(metadata):
    runtime = names_in('runtime.txt')
    assert runtime
    assert not runtime & MM_PACKAGES
    assert not any(name.startswith('opencv') for name in runtime)
    install_requires = metadata[1].split('[')[0].split()
    assert {Requirement(line).name for line in install_requires} == runtime


def test_mm_lines_name_the_four_packages():
    assert names_in('mminstall.txt') == {n for n in MM_PACKAGES if n.startswith('onedl-')}
    openmmlab = names_in('mminstall-openmmlab.txt')
    assert {'mmcv', 'mmdet', 'mmengine', 'mmsegmentation'} <= openmmlab


def test_model_index_lists_configs_that_exist():
    configs = re.findall(r'Config: (\S+)', (ROOT / 'model-index.yml').read_text())
    assert configs
    assert [path for path in configs if not (ROOT / path).is_file()] == []


MIM_FILES = ('configs/p2seg/one.py', 'tools/train.py', 'tools/dist_train.sh', 'model-index.yml')


def test_wheel_and_sdist_carry_copies_for_mim(copied_project):
    run_setup('bdist_wheel', cwd=copied_project)
    (wheel,) = (copied_project / 'dist').glob('*.whl')
    in_wheel = zipfile.ZipFile(wheel).namelist()
    assert {f'mmp2seg/.mim/{name}' for name in MIM_FILES} <= set(in_wheel)
    assert 'mmp2seg/ops/__init__.py' in in_wheel

    run_setup('sdist', cwd=copied_project)
    (sdist,) = (copied_project / 'dist').glob('*.tar.gz')
    with tarfile.open(sdist) as archive:
        in_sdist = {name.split('/', 1)[-1] for name in archive.getnames()}
    assert {f'mmp2seg/.mim/{name}' for name in MIM_FILES} <= in_sdist
    assert {'LICENSE', 'requirements/runtime.txt', 'requirements/mminstall.txt'} <= in_sdist


def test_editable_install_links_for_mim(copied_project):
    run_setup('editable_wheel', '--help', cwd=copied_project)
    link = copied_project / 'mmp2seg' / '.mim' / 'configs'
    assert link.is_symlink()
    assert link.resolve() == copied_project / 'configs'


def test_importing_the_package_loads_nothing_heavy():
    script = 'import mmp2seg, sys; print(*sys.modules)'
    out = subprocess.run([sys.executable, '-c', script], cwd=ROOT, capture_output=True, text=True)
    loaded = out.stdout.split()
    assert 'mmp2seg' in loaded
    assert not {'torch', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmdet', 'mmseg'} & set(loaded)
