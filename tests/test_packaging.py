import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml
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
    """The tracked files that packaging needs, with a small package."""
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
    extras = {'mim', 'label-studio', 'napari', 'pretrained', 'sam', 'tests', 'all'}
    assert set(re.findall(r'^Provides-Extra: (.*)$', info, re.M)) == extras


def test_versions_agree():
    assert f'## [{mmp2seg.__version__}]' in (ROOT / 'CHANGELOG.md').read_text()
    assert f'Version: v{mmp2seg.__version__}' in (ROOT / 'model-index.yml').read_text()
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert citation['version'] == mmp2seg.__version__
    assert citation['license'] == 'Apache-2.0'


def test_versions_of_the_linters_agree():
    required = (ROOT / 'requirements' / 'lint.txt').read_text().splitlines()
    pinned = {re.sub(r'\[.*\]', '', line) for line in required if '==' in line}
    config = yaml.safe_load((ROOT / '.pre-commit-config.yaml').read_text())
    hooks = [hook for repo in config['repos'] for hook in repo['hooks']]
    assert {name for hook in hooks for name in hook['additional_dependencies']} <= pinned
    assert len(pinned) == 3


def test_workflow_runs_the_scripts_of_this_checkout():
    workflow = yaml.safe_load((ROOT / '.github' / 'workflows' / 'ci.yml').read_text())
    commands = ' '.join(
        step.get('run', '') for job in workflow['jobs'].values() for step in job['steps']
    )
    scripts = set(re.findall(r'tools/[\w/]+\.sh', commands))
    assert {'tools/run_lint.sh', 'tools/run_tests.sh'} <= scripts
    for path in scripts | set(re.findall(r'requirements/\w+\.txt', commands)):
        assert (ROOT / path).is_file()


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


def test_model_index_lists_every_config_of_both_stages():
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    folders = [ROOT / 'configs' / name for name in ('p2seg', 'refine')]
    paths = [str(path.relative_to(ROOT)) for one in folders for path in sorted(one.glob('*.py'))]
    assert sorted(model['Config'] for model in index['Models']) == paths
    names = [model['Name'] for model in index['Models']]
    assert len(set(names)) == len(names)
    collections = {collection['Name'] for collection in index['Collections']}
    assert {model['In Collection'] for model in index['Models']} == collections


def names_of(archive):
    """List the files of a wheel or of an sdist, without the sdist's top folder."""
    if archive.suffix == '.whl':
        return set(zipfile.ZipFile(archive).namelist())
    with tarfile.open(archive) as tar:
        return {name.split('/', 1)[-1] for name in tar.getnames() if '/' in name}


def test_a_second_build_holds_nothing_of_the_first(copied_project):
    for name in ('one.py', 'two.py'):
        run_setup('bdist_wheel', cwd=copied_project)
        (wheel,) = (copied_project / 'dist').glob('*.whl')
        configs = {path for path in names_of(wheel) if '/configs/' in path}
        assert configs == {f'mmp2seg/.mim/configs/p2seg/{name}'}
        path = copied_project / 'configs' / 'p2seg' / name
        path.rename(path.with_name('two.py'))


def test_editable_install_links_for_mim(copied_project):
    run_setup('editable_wheel', '--help', cwd=copied_project)
    link = copied_project / 'mmp2seg' / '.mim' / 'configs'
    assert link.is_symlink()
    assert link.resolve() == copied_project / 'configs'
    run_setup('bdist_wheel', cwd=copied_project)  # which takes copies
    assert link.resolve() == copied_project / 'configs'
    (wheel,) = (copied_project / 'dist').glob('*.whl')
    assert 'mmp2seg/.mim/configs/p2seg/one.py' in names_of(wheel)


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """Wheel, sdist and the wheel of that sdist, built from a copy of this checkout that also has
    stray files.
    """
    root = tmp_path_factory.mktemp('checkout') / 'mmp2seg'
    ignore = shutil.ignore_patterns('__pycache__', '.mim', '*.egg-info', 'build', 'dist')
    for name in ('mmp2seg', 'configs', 'tools', 'requirements'):
        shutil.copytree(ROOT / name, root / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copyfile(path, root / path.name)
    for name in ('tests', 'data', 'work_dirs', 'docs', 'tools/__pycache__'):
        (root / name).mkdir(exist_ok=True)
        for file in ('lying_about.py', '__init__.py'):
            (root / name / file).write_text('')
    run_setup('bdist_wheel', 'sdist', cwd=root)
    (wheel,), (sdist,) = (root / 'dist').glob('*.whl'), (root / 'dist').glob('*.tar.gz')
    shutil.unpack_archive(sdist, root / 'unpacked')
    (unpacked,) = (root / 'unpacked').iterdir()
    run_setup('bdist_wheel', cwd=unpacked)
    return wheel, sdist, next((unpacked / 'dist').glob('*.whl'))


def files_below(root, folder):
    """List the Python and shell files, relative to ``root``, without copies and caches."""
    found = [path.relative_to(root) for path in (root / folder).rglob('*')]
    found = [path for path in found if not {'.mim', '__pycache__'} & set(path.parts)]
    return {path.as_posix() for path in found if path.suffix in ('.py', '.sh')}


def test_wheel_and_sdist_hold_package_configs_and_tools_alone(built):
    wheel, sdist, second_wheel = (names_of(archive) for archive in built)
    root = built[0].parents[1]
    content = {'model-index.yml', 'configs/README.md'}
    content |= files_below(root, 'configs') | files_below(root, 'tools')
    expected = {f'mmp2seg/.mim/{name}' for name in content} | files_below(root, 'mmp2seg')
    expected |= {'mmp2seg/py.typed', 'mmp2seg/napari_plugin/napari.yaml'}
    expected |= {
        f'mmp2seg/annotation/page/{name}' for name in ('index.html', 'page.css', 'page.js')
    }
    for folder in ('dataset_converters', 'model_converters', 'misc', 'analysis_tools'):
        assert any(f'/tools/{folder}/' in name for name in expected)
    assert {name for name in wheel if '.dist-info/' not in name} == expected
    assert expected <= sdist
    assert {'LICENSE', 'requirements/runtime.txt', 'requirements/mminstall.txt'} <= sdist
    assert not [name for name in sdist if 'lying_about' in name]
    assert not {'tests', 'data', 'work_dirs', 'docs'} & {name.split('/')[0] for name in sdist}
    assert second_wheel == wheel


def test_files_are_where_mim_looks_for_them(built, tmp_path):
    """``mim run`` finds a tool and ``mim train`` a config by name, below the package folder."""
    shutil.unpack_archive(built[0], tmp_path, 'zip')
    mim = tmp_path / 'mmp2seg' / '.mim'
    for name in ('train.py', 'test.py'):
        assert (mim / 'tools' / name).is_file()
    for folder in ('tools', 'configs'):
        paths = [path for path in (mim / folder).rglob('*.py') if '_base_' not in path.parts]
        names = Counter(path.name for path in paths)
        assert [name for name, count in names.items() if count > 1] == []
    index = (mim / 'model-index.yml').read_text()
    for path in re.findall(r'Config: (\S+)', index):
        assert (mim / path).is_file()


@pytest.fixture(scope='module')
def installed(built, tmp_path_factory):
    """A virtual environment with the wheel; it sees the torch and mm packages of this one."""
    folder = tmp_path_factory.mktemp('away')
    venv.create(folder / 'env', symlinks=os.name != 'nt')
    scripts = folder / 'env' / ('Scripts' if os.name == 'nt' else 'bin')
    python = scripts / 'python'
    script = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    site = subprocess.check_output([python, '-c', script], text=True).strip()
    install = ['install', '--quiet', '--no-deps', '--no-index', '--no-compile', str(built[0])]
    command = [sys.executable, '-m', 'pip', '--python', str(python), *install]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    ours = [path for path in sys.path if Path(path).name in ('site-packages', 'dist-packages')]
    (Path(site) / 'others.pth').write_text('\n'.join(ours))
    return folder, scripts


def run_installed(installed, name, *arguments):
    folder, scripts = installed
    environment = dict(os.environ, CUDA_VISIBLE_DEVICES='-1', OMP_NUM_THREADS='1')
    environment.pop('PYTHONPATH', None)
    command = [str(scripts / name), *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_command_of_the_wheel(installed):
    script = 'import mmp2seg; print(mmp2seg.__file__)'
    place = run_installed(installed, 'python', '-c', script).stdout.strip()
    assert Path(place).is_relative_to(installed[0])
    shown = run_installed(installed, 'mmp2seg', '--help')
    assert shown.returncode == 0 and 'pseudo-labels' in shown.stdout
    listed = run_installed(installed, 'mmp2seg', 'convert')
    assert listed.returncode == 0
    assert {'points_to_coco', 'released_to_mmp2seg'} <= set(listed.stdout.split())
    unknown = run_installed(installed, 'mmp2seg', 'nope')
    assert unknown.returncode == 2 and "invalid choice: 'nope'" in unknown.stderr


# One process for all commands: importing the mm packages takes most of the time of a command.
ALL_COMMANDS = """
import json, sys
from importlib.metadata import distribution

(script,) = distribution('mmp2seg').entry_points.select(group='console_scripts')
main = script.load()
for argv in json.loads(sys.argv[1]):
    try:
        main(argv)
    except SystemExit as error:
        if error.code:
            sys.exit(f'{argv}: {error.code}')
print('ALL DONE', *sorted({name.split('.')[0] for name in sys.modules} & {'tests', 'tools'}))
"""


def test_every_command_works_from_the_wheel_away_from_the_checkout(installed):
    config, checkpoint = 'p2seg/tiny_shapes.py', 'work_dirs/tiny_shapes/iter_2.pth'
    data = 'data/shapes'  # where the config looks for it, below the working folder
    loaders = [f'{name}_dataloader.num_workers=0' for name in ('train', 'test')]
    loaders += [f'{name}_dataloader.persistent_workers=False' for name in ('train', 'test')]
    options = ['--cfg-options', *loaders, 'train_dataloader.batch_size=2']
    schedule = ['train_cfg.max_iters=2', 'train_cfg.val_interval=2', 'param_scheduler=None']
    schedule += ['default_hooks.checkpoint.interval=2']
    points = f'{data}/annotations/points_train.json'
    images = ['--images', f'{data}/JPEGImages', '--points', points]
    commands = [
        ['convert', 'make-shapes', data, '--num-train', '3', '--num-val', '0', '--size', '64'],
        ['check', config],
        ['train', config, '--device', 'cpu', *options, *schedule],
        ['pseudo-labels', f'configs/{config}', checkpoint, '--out', 'labels.json', *options],
        ['predict', config, checkpoint, *images, '--out', 'own.json', '--draw', 'own', *options],
        ['test', config, checkpoint, *options],
        # configs outside of the package inherit from those in it
        ['init', 'mine', *images, '--semantic-maps', f'{data}/WSSS_maps', '--from-scratch'],
        ['check', 'mine/stage1.py'],
        ['train', 'mine/stage1.py', '--device', 'cpu', *options, *schedule],
    ]
    process = run_installed(installed, 'python', '-c', ALL_COMMANDS, json.dumps(commands))
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.splitlines()[-1].strip() == 'ALL DONE'
    folder = installed[0]
    for name in ('labels.json', 'own.json'):
        content = json.loads((folder / name).read_text())
        assert len(content['images']) == 3
        total = len(content['annotations']) + len(content['dropped_points'])
        assert total == len(json.loads((folder / points).read_text())['annotations'])
    assert len(list((folder / 'own').iterdir())) == 3
    assert (folder / 'mine' / 'stage1' / 'iter_2.pth').is_file()
    # nothing is written into the installed package
    assert not list(folder.glob('env/**/work_dirs'))


def test_importing_the_package_loads_nothing_heavy():
    script = 'import mmp2seg, sys; print(*sys.modules)'
    out = subprocess.run([sys.executable, '-c', script], cwd=ROOT, capture_output=True, text=True)
    loaded = out.stdout.split()
    assert 'mmp2seg' in loaded
    assert not {'torch', 'numpy', 'cv2', 'mmengine', 'mmcv', 'mmdet', 'mmseg'} & set(loaded)
