import json
import runpy
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'compare_segmentors.py'
REFINE = ROOT / 'configs' / 'refine'
STAGE1 = ROOT / 'configs' / 'p2seg' / 'tiny_shapes.py'
SEGMENTORS = [REFINE / f'{name}_tiny_shapes.py' for name in ('mask-rcnn', 'solov2')]


@pytest.fixture
def tool(load_with_fake_tools):
    return load_with_fake_tools(TOOL)


@pytest.fixture
def run(tool, tmp_path):
    """Returns a function that runs the tool with arguments and returns its exit status."""

    def run(*arguments):
        arguments = [*arguments, '--work-dir', tmp_path / 'work', '--device', 'cpu']
        return tool.main([str(argument) for argument in [*arguments, '--stage1', STAGE1]])

    return run


def rows_of(table):
    lines = [line.strip('|').split('|') for line in table.splitlines() if line]
    return [[cell.strip() for cell in cells] for cells in lines]


@pytest.mark.parametrize('jobs', [1, 2])
def test_every_segmentor_learns_from_every_kind_of_labels(run, tmp_path, capsys, jobs):
    kinds = ['pseudo', 'nearest', 'component', 'full']
    options = ['--shapes', '--seeds', 1, 2, '--labels', *kinds, '--jobs', jobs]
    assert run(*SEGMENTORS, *options) == 0
    output = capsys.readouterr().out
    table = (tmp_path / 'work' / 'segmentors.md').read_text()
    assert table in output and '8 label files, 16 trainings' in output
    absolute, *differences = map(rows_of, table.split('\n\n'))
    assert absolute[0] == ['config', 'seeds', 'AP', 'AP75', 'mAP50']
    name = 'mask-rcnn_tiny_shapes'
    assert absolute[2] == [
        f'{name}, pseudo labels of stage 1',
        '2',
        '35.0 ± 7.1',
        '-',
        '35.0 ± 7.1',
    ]
    means = [row[2].split(' ')[0] for row in absolute[2:]]
    assert means == ['35.0', '15.0', '10.0', '50.0'] * 2
    assert [row[0].split(', ')[0] for row in absolute[2:]] == [name] * 4 + [
        'solov2_tiny_shapes'
    ] * 4
    assert len(differences) == 2  # one for each segmentor
    for base, rows in ((absolute[2], differences[0]), (absolute[6], differences[1])):
        assert rows[0][0] == f'minus {base[0]}' and len(rows) == 5
        assert rows[2][1:3] == ['2', '-20.0 ± 7.1']
    results = json.loads((tmp_path / 'work' / 'segmentors.json').read_text())
    assert results[absolute[5][0]]['2'] == {'AP': 0.5, 'AP75': None, 'mAP50': 0.5}


def test_configs_read_the_data_of_their_seed(run, tmp_path):
    refiner = REFINE / 'refiner_solov2_tiny_shapes_semantic.py'
    assert run(refiner, '--shapes', '--seeds', 3, '--labels', 'nearest') == 0
    (path,) = (tmp_path / 'work' / 'runs').glob('*/seed3/**/refiner_*.py')
    cfg = Config.fromfile(path)
    shapes = tmp_path / 'work' / 'shapes'
    data = cfg.train_dataloader.dataset
    assert data.data_prefix.seg == f'{shapes}/seed3-300x128px/WSSS_maps/'
    assert Path(data.ann_file).read_text() == '0.2'
    assert cfg.test_evaluator.ann_file.startswith(f'{shapes}/val-seed3-100x128px/')


def test_a_second_command_repeats_nothing_and_has_a_table_of_its_own(run, tmp_path, capsys):
    options = ['--shapes', '--seeds', 1, '--labels', 'pseudo']
    assert run(SEGMENTORS[0], *options) == 0
    first = (tmp_path / 'work' / 'segmentors.md').read_text()
    capsys.readouterr()
    assert run(*SEGMENTORS, *options, '--name', 'both') == 0
    lines = capsys.readouterr().out.splitlines()
    again = [line for line in lines if line.strip().startswith('done in')]
    assert len(again) == 2  # SOLOv2's training and test
    assert (tmp_path / 'work' / 'segmentors.md').read_text() == first
    differences = rows_of((tmp_path / 'work' / 'both.md').read_text().split('\n\n')[1])
    assert differences[0][0].startswith('minus mask-rcnn_tiny_shapes')
    assert differences[2][:3] == ['solov2_tiny_shapes, pseudo labels of stage 1', '1', '+0.0']


def test_a_comma_in_a_name_is_refused(run, tmp_path, capsys):
    config = tmp_path / 'a, b.py'
    config.write_text(SEGMENTORS[0].read_text())
    with pytest.raises(SystemExit):
        run(config, '--shapes', '--seeds', 1)
    assert 'the name of a config must not contain a comma' in capsys.readouterr().err


def test_what_fails_is_named_and_stops_no_other(tool, run, tmp_path, capsys):
    (tool.TOOLS / 'fail2').touch()
    assert run(SEGMENTORS[0], '--shapes', '--seeds', 1, 2, '--labels', 'pseudo', 'full') == 1
    error = capsys.readouterr().err
    assert 'pseudo labels, tiny_shapes, seed 2 failed' in error
    assert 'full masks, seed 2 failed' in error and 'seed 1 failed' not in error
    rows = rows_of((tmp_path / 'work' / 'segmentors.md').read_text())
    assert [row[1:3] for row in rows[2:4]] == [['1', '30.0'], ['1', '50.0']]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([SEGMENTORS[0], '--stage1', 'gone.py'], r'config not found: gone\.py'),
        (['gone.py', '--stage1', STAGE1], r'config not found: gone\.py'),
        (
            [SEGMENTORS[0], '--shapes', '--stage1', STAGE1.parent / 'hrnet48_voc.py'],
            '--shapes: hrnet48_voc is not',
        ),
        (
            [SEGMENTORS[0], '--stage1', STAGE1.parent / 'tiny_own_data.py'],
            '--labels full: .*tiny_own_data.py names no true instances, give --truth',
        ),
    ],
)
def test_mistakes(tool, tmp_path, arguments, message):
    arguments = ['--work-dir', tmp_path / 'work', '--device', 'cpu', *arguments]
    with pytest.raises(CommandError, match=message):
        tool.main([str(argument) for argument in arguments])


def test_the_baseline_tool_understands_its_command(monkeypatch):
    path = ROOT / 'tools' / 'analysis_tools' / 'baseline_pseudo_labels.py'
    monkeypatch.setattr(sys, 'path', list(sys.path))
    args = runpy.run_path(str(path))['parse_args'](
        ['c.py', '--rule', 'nearest', '--out', 'o.json', '--cfg-options', 'a.data_root=/shapes']
    )
    assert (args.rule, args.cfg_options) == ('nearest', {'a.data_root': '/shapes'})
