"""A user's way from images and a table of points to a segmentor, with the printed commands."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mmp2seg.apis.own_data.folder as own_data
from mmp2seg.pseudo_labels.coco_json import load

from .tool_runs import TOOLS, run_tool

TOOL_OF = {
    'masks': 'masks',
    'train': 'train',
    'pseudo-labels': 'generate_pseudo_labels',
    'report': 'report',
}
LOADERS = [
    f'{name}_dataloader.{key}'
    for name in ('train', 'test')
    for key in ('num_workers=0', 'persistent_workers=False')
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three images with a square and a table of points."""
    monkeypatch.chdir(tmp_path)
    # the networks of the test have random weights
    monkeypatch.setattr(own_data, 'find_spec', lambda name: object())
    Path('photos').mkdir()
    lines = ['file,x,y,class']
    for number in range(3):
        image = np.full((48, 64, 3), 60, np.uint8)
        image[8:24, 8 + 6 * number : 30 + 6 * number] = 200
        Image.fromarray(image).save(f'photos/{number}.png')
        lines += [f'{number}.png,{20.5 + 6 * number},14.5,nut', f'{number}.png,50.5,40.5,fig']
    Path('points.csv').write_text('\n'.join(lines) + '\n')
    return tmp_path


def init(*options):
    run_tool('init', 'my', '--images', 'photos', '--points', 'points.csv', *options)


def printed_commands(text):
    """Name and arguments of the lines `mmp2seg NAME ...` or `python tools/TOOL.py ...`."""
    commands = []
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        for name, tool in TOOL_OF.items():
            if words[1:2] in ([name], [str(TOOLS / f'{tool}.py')]):
                commands.append((name, words[2:]))
    return commands


def test_the_printed_commands_lead_to_a_segmentor(folder, capsys):
    init('--from-scratch', '--device', 'cpu')
    out = capsys.readouterr().out
    assert out.startswith('3 images (0 without points), 6 points\n  fig: 3\n  nut: 3\nwritten: ')
    commands = printed_commands(out)
    assert [name for name, _ in commands] == ['masks', 'train', 'pseudo-labels', 'train', 'report']
    for name, iterations in (('stage1', 2000), ('stage2', 600)):
        path = Path('my', f'{name}.py')
        text = path.read_text()
        assert f'\nmax_iters = {iterations}\n' in text
        path.write_text(text.replace(f'= {iterations}\n', '= 2\n'))
    small = {
        'masks': ['model.backbone.init_cfg=None', 'model.long_side=64', 'model.spacing=1'],
        'train': [*LOADERS, 'train_dataloader.batch_size=2'],
        'pseudo-labels': LOADERS,
    }
    for name, arguments in commands:
        arguments = [word.replace('iter_2000', 'iter_2') for word in arguments]
        options = ['--cfg-options', *small[name]] if name in small else []
        run_tool(TOOL_OF[name], *arguments, *options)
    labels = load('my/pseudo_labels.json')
    assert len(labels['annotations']) + len(labels['dropped_points']) == 6
    assert Path('my/stage2/iter_2.pth').is_file() and Path('my/report.html').is_file()
    assert not Path('work_dirs').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['my', '--images', 'gone', '--points', 'points.csv'], 'gone: no such folder'),
        (['my', '--images', 'photos', '--points', 'gone.csv'], 'gone.csv'),
        (['photos', '--images', 'photos', '--points', 'points.csv', '--val-fraction', '.5'],
         '--val-fraction needs --val-annotations'),
    ],
)  # fmt: skip
def test_mistakes_end_with_one_line(folder, capsys, arguments, message):
    with pytest.raises(SystemExit) as info:
        run_tool('init', *arguments)
    assert message in info.value.code and '\n' not in info.value.code
    assert info.value.code.startswith('init.py: error: ')
    assert not Path('my').exists()


@pytest.mark.parametrize('value', ['0', '1', '-.1', 'nan', 'x'])
def test_a_fraction_is_between_zero_and_one(folder, capsys, value):
    with pytest.raises(SystemExit) as info:
        init(f'--val-fraction={value}')
    assert info.value.code == 2
    assert 'argument --val-fraction' in capsys.readouterr().err


def test_options_reach_the_configs(folder, capsys):
    init('--classes', 'nut', 'fig', 'seed', '--device', 'cpu')
    assert "classes = ('nut', 'fig', 'seed')" in Path('my/stage1.py').read_text()
    assert '--device cpu' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='--overwrite replaces them'):
        init()
    init('--overwrite')
    assert '--device' not in capsys.readouterr().out
