"""The blocks of code in README and docs run, or name what they need that a test has not.

A block that no test runs has a comment on the line before it: ``<!-- needs: data -->``. Of every
shell block, with or without the comment, the tools must know the arguments.
"""

import importlib.util
import re
import shlex
import shutil
import subprocess
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import Registry
from mmengine.runner import save_checkpoint

from mmp2seg import registry as registries
from mmp2seg.apis.cli import COMMANDS, find_converters
from mmp2seg.files.index_png import read_index_png
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config

ROOT = Path(__file__).resolve().parents[1]
NAMES = ['README.md', 'CONTRIBUTING.md', 'configs/README.md', 'examples/nuclei/README.md']
NAMES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / 'docs').glob('*.md'))

BLOCK = re.compile(
    r'(?:<!-- needs: (?P<needs>[^\n]+) -->\n)?```(?P<language>\S*)\n(?P<code>.*?)```', re.DOTALL
)
# programs in shell blocks beside the tools
PROGRAMS = (
    'cd',
    'git',
    'grep',
    'label-studio',
    'napari',
    'pip',
    'pre-commit',
    'printf',
    'source',
)


def read_blocks(name, language):
    """(needs, code) of the blocks of one language; needs is None without a comment."""
    found = BLOCK.finditer((ROOT / name).read_text())
    return [block.group('needs', 'code') for block in found if block['language'] == language]


def test_every_block_names_its_language():
    known = {'bash', 'python', 'text', '{toctree}', '{include}', '{image}'}
    unknown = {
        (name, block['language'])
        for name in NAMES
        for block in BLOCK.finditer((ROOT / name).read_text())
        if block['language'] not in known
    }
    assert unknown == set()


# ---------------------------------------------------------------------------------------- python


class PlaceHolders(dict):
    """Names of executed code; a name in capitals that nobody defines is a string: ``TRUTH``."""

    def __missing__(self, name):
        if name.isupper():
            return name
        raise KeyError(name)


def unknown_types(value):
    """Types with our prefix, in nested dicts and lists, that no registry knows."""
    if isinstance(value, dict):
        name = value.get('type')
        if isinstance(name, str) and name.startswith('mmp2seg.') and not is_registered(name):
            yield name
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from unknown_types(part)


def is_registered(name):
    return any(
        registry.get(name) is not None
        for registry in vars(registries).values()
        if isinstance(registry, Registry)
    )


def test_unknown_types():
    config = dict(a=[dict(type='mmp2seg.P2Seg', b=dict(type='mmp2seg.P3Seg'))], type='Adam')
    assert list(unknown_types(config)) == ['mmp2seg.P3Seg']


def run_config(code, folder):
    """Load a block that is a config, from the clone or from a folder of its configs."""
    parent = folder / 'configs' / 'own' if "'../" in code.split('\n')[0] else folder
    parent.mkdir(exist_ok=True)
    path = parent / 'block.py'
    path.write_text(code)
    return Config.fromfile(path)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """The files that the pages name, with random weights instead of ImageNet's."""
    shutil.copytree(ROOT / 'examples', tmp_path / 'examples')  # a block may write to it
    (tmp_path / 'images').symlink_to(ROOT / 'examples' / 'nuclei' / 'images')
    (tmp_path / 'points.csv').symlink_to(ROOT / 'examples' / 'nuclei' / 'points.csv')
    (tmp_path / 'configs').mkdir()
    for path in (ROOT / 'configs').iterdir():
        (tmp_path / 'configs' / path.name).symlink_to(path)
    segmenter = dict(
        type='mmp2seg.PointSegmenter',
        backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)),
        long_side=96,
        spacing=1.0,
    )
    (tmp_path / 'point_segmenter').mkdir()
    Config(dict(default_scope='mmdet', model=segmenter, work_dir='work_dirs/masks')).dump(
        tmp_path / 'point_segmenter' / 'efficientnet-lite0.py'
    )
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmp2seg.LoadPointAnnotations'),
        dict(type='mmp2seg.PackPointInputs'),
    ]
    dataset = dict(
        type='mmp2seg.PointCocoDataset', metainfo=dict(classes=['nucleus']), pipeline=pipeline
    )
    model = tiny_p2seg_config(num_classes=1)
    folder = tmp_path / 'work_dirs' / 'nuclei'
    folder.mkdir(parents=True)
    cfg = dict(default_scope='mmdet', model=model, test_dataloader=dict(dataset=dataset))
    Config(cfg).dump(folder / 'stage1.py')
    torch.manual_seed(0)
    state = MODELS.build(model).state_dict()
    save_checkpoint(dict(state_dict=state), str(folder / 'iter_500.pth'))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_python(name, folder):
    """Run the Python blocks of a page one after the other; return the names that they define."""
    names = PlaceHolders()
    for needs, code in read_blocks(name, 'python'):
        compiled = compile(code, f'{name}: {code[:40]}', 'exec')
        if needs is not None:
            continue
        if code.startswith('_base_'):
            defined = run_config(code, folder).to_dict()
        else:
            exec(compiled, {}, names)
            defined = dict(names)
        assert list(unknown_types(defined)) == [], f'{name}: {code}'
    return names


PYTHON_PAGES = [name for name in NAMES if read_blocks(name, 'python')]


@pytest.mark.parametrize('name', [name for name in PYTHON_PAGES if name != 'docs/python.md'])
def test_python_runs(name, clone):
    run_python(name, clone)


def test_python_page_does_what_it_says(clone):
    names = run_python('docs/python.md', clone)
    folder = clone / 'work_dirs' / 'python'
    assert len(names['result']) + len(names['result'].dropped) == 2
    assert read_index_png(folder / 'instances.png').max() == 2
    assert names['picture'].dtype == np.uint8 and names['picture'].ndim == 3
    assert names['both'].rles and names['first'].labels.tolist() == [0]
    content = load(folder / 'labels.json')
    assert len(content['images']) == 12
    assert len(content['annotations']) + len(content['dropped_points']) == 351
    scores = [annotation['score'] for annotation in load(folder / 'good.json')['annotations']]
    assert scores and min(scores) >= 0.5


def test_place_holders_are_capitals_alone():
    names = PlaceHolders()
    exec('a = TRUTH', {}, names)
    assert names['a'] == 'TRUTH'
    with pytest.raises(NameError):
        exec('a = truth', {}, names)


# ----------------------------------------------------------------------------------------- shell


def read_commands(code):
    """Words of each command of a shell block, without variables, comments and redirections.

    ``{a,b}`` is expanded, and the brackets of options in a synopsis are removed.
    """
    found = []
    for line in code.replace('\\\n', ' ').splitlines():
        words = shlex.split(line, comments=True)
        while words and re.match(r'[A-Z_0-9]+=', words[0]):
            words = words[1:]
        if '>' in words or '>>' in words:
            words = words[: next(i for i, word in enumerate(words) if word in ('>', '>>'))]
        if words:
            found.append([part for word in words for part in expand(word)])
    return found


def expand(word):
    """``a{b,c}`` -> ``ab``, ``ac``; ``[--x`` -> ``--x``; ``...]`` -> nothing."""
    word = word.removeprefix('[').removesuffix(']').removesuffix('...')
    parts = [part.split(',') for part in re.split(r'\{(\w[\w,-]*,[\w,-]*)\}', word)]
    if len(parts) == 1:  # no braces: commas are part of the word
        return [word] if word else []
    return [''.join(choice) for choice in product(*parts)]


def test_read_commands():
    code = (
        'A=1 mmp2seg x \\\n  --b 2 > c.txt  # d\n\n# e\npython t.py a{b,c}.py [--d 1,2] [e ...]\n'
    )
    assert read_commands(code) == [
        ['mmp2seg', 'x', '--b', '2'],
        ['python', 't.py', 'ab.py', 'ac.py', '--d', '1,2', 'e'],
    ]


def tool_of(words):
    """(path of the tool in the repository or None, its arguments) of a command."""
    if words[0] == 'mmp2seg':
        if words[1] == 'convert':
            converters = find_converters(ROOT / 'tools')
            return (converters[words[2].replace('-', '_')], words[3:]) if words[2:] else (None, [])
        assert words[1] in COMMANDS, words
        return ROOT / 'tools' / COMMANDS[words[1]][0], words[2:]
    if words[0] in ('python', 'bash'):
        assert (ROOT / words[1]).is_file(), words
        return ROOT / words[1], words[2:]
    assert words[0] in PROGRAMS, words
    return None, []


def load_tool(path):
    spec = importlib.util.spec_from_file_location(f'docs_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SHELL_PAGES = [name for name in NAMES if read_blocks(name, 'bash')]


@pytest.mark.parametrize('name', SHELL_PAGES)
def test_tools_know_their_arguments(name, capsys):
    for words in (words for _, code in read_blocks(name, 'bash') for words in read_commands(code)):
        tool, arguments = tool_of(words)
        if tool is None:
            continue
        if tool.suffix == '.py':
            try:
                load_tool(tool).parse_args(arguments)
            except SystemExit:
                pytest.fail(f'{" ".join(words)}: {capsys.readouterr().err}')
        for word in arguments:
            # work_dirs and data are made by the reader; capitals are place holders
            if word.endswith('.py') and not re.match(r'work_dirs/|data/|[A-Z]', word):
                places = [ROOT / word, ROOT / 'configs' / word]
                assert any(list(path.parent.glob(path.name)) for path in places), word


def runnable(name):
    return [code for needs, code in read_blocks(name, 'bash') if needs is None]


@pytest.mark.parametrize('name', [name for name in SHELL_PAGES if runnable(name)])
def test_shell_runs(name, clone, capsys):
    for line in '\n'.join(runnable(name)).replace('\\\n', ' ').splitlines():
        for words in read_commands(line):
            tool, arguments = tool_of(words)
            if tool is not None:
                module = load_tool(tool)
                if tool.name == 'masks.py':
                    module.SEGMENTERS['points'] = (
                        clone / 'point_segmenter' / 'efficientnet-lite0.py'
                    )
                assert module.main(arguments) in (0, None), capsys.readouterr().err
            elif words[0] != 'mmp2seg':
                subprocess.run(['bash', '-c', line], check=True)


def test_readme_and_data_have_shell_blocks_that_run():
    assert runnable('README.md') and runnable('docs/data.md')
