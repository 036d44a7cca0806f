import json
import re
import runpy
import sys
from inspect import signature
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments import phases
from mmp2seg.experiments.grid import expand_grid, parse_axis
from mmp2seg.experiments.photographs import START_ROWS
from mmp2seg.experiments.stage1_configs import load_configs, make_runs
from mmp2seg.experiments.stage1_run import shapes_phase
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import load

from .tool_runs import run_tool

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'run_ablations.py'
ABLATIONS = ROOT / 'configs' / 'ablations'
CONFIGS = [ABLATIONS / f'tiny_shapes_{name}.py' for name in ('s2i', 's2i_i2s')]


@pytest.fixture
def tool(load_with_fake_tools):
    return load_with_fake_tools(TOOL)


@pytest.fixture
def run(tool, tmp_path):
    """Returns a function that runs the tool with arguments and returns its exit status."""

    def run(*arguments):
        arguments = [*arguments, '--work-dir', tmp_path / 'work', '--device', 'cpu']
        return tool.main([str(argument) for argument in arguments])

    return run


def alternatives(text):
    """Brace expansion: 'a{b,c}d' -> 'abd', 'acd'."""
    head, brace, rest = text.partition('{')
    inner, _, tail = rest.partition('}')
    return [f'{head}{part}{tail}' for part in inner.split(',')] if brace else [text]


def rows_of(table):
    lines = [line.strip('|').split('|') for line in table.splitlines() if line]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


@pytest.mark.parametrize('jobs', [1, 2])
def test_table_over_seeds(run, tmp_path, capsys, jobs):
    assert run('--shapes', '--seeds', 1, 2, 2, '--jobs', jobs, *CONFIGS) == 0
    table = (tmp_path / 'work' / 'table.md').read_text()
    assert table in capsys.readouterr().out
    rows = rows_of(table)
    assert rows['tiny_shapes_s2i'][:4] == ['2', '60.0 ± 14.1', '60.0 ± 14.1', '-']
    assert rows['minus tiny_shapes_s2i'][0] == 'seeds'
    assert rows['tiny_shapes_s2i_i2s'][:2] == ['2', '+10.0 ± 0.0']  # from the second table
    results = json.loads((tmp_path / 'work' / 'results.json').read_text())
    assert list(results) == ['tiny_shapes_s2i', 'tiny_shapes_s2i_i2s']
    assert results['tiny_shapes_s2i_i2s']['mean']['mean_iou'] == pytest.approx(0.7)
    assert results['tiny_shapes_s2i']['seeds']['2']['mean_iou'] == pytest.approx(0.7)
    assert len(list((tmp_path / 'work' / 'shapes').glob('seed*'))) == 2


def test_stage_2_on_every_label_file(run, tmp_path, capsys):
    refine = ROOT / 'configs' / 'refine' / 'mask-rcnn_tiny_shapes.py'
    assert run(CONFIGS[0], '--shapes', '--seeds', 1, 2, '--refine', refine) == 0
    table = (tmp_path / 'work' / 'table.md').read_text()
    assert table in capsys.readouterr().out
    head, _, row = table.split('\n\n')[-1].strip().splitlines()
    assert head.replace(' ', '') == '|config|seeds|AP|AP75|mAP50|'
    assert rows_of(row)['tiny_shapes_s2i'] == ['2', '35.0 ± 7.1', '-', '35.0 ± 7.1']
    results = json.loads((tmp_path / 'work' / 'refine_results.json').read_text())
    assert results['tiny_shapes_s2i']['1']['AP'] == pytest.approx(0.3)
    (path,) = (tmp_path / 'work' / 'runs').glob('*/seed2/*/refine-*/mask-rcnn_tiny_shapes-*.py')
    cfg = Config.fromfile(path)
    assert Path(cfg.train_dataloader.dataset.ann_file).read_text() == '0.7'
    data = tmp_path / 'work' / 'shapes'
    assert cfg.test_evaluator.ann_file.startswith(str(data / 'val-seed2-100x128px'))
    assert run(CONFIGS[0], '--shapes', '--seeds', 1, 2) == 0
    assert 'AP75' not in (tmp_path / 'work' / 'table.md').read_text()


def test_a_failed_training_is_named_and_stops_no_other(tool, run, tmp_path, capsys):
    (tool.TOOLS / 'fail2').touch()
    assert run(CONFIGS[0], '--seeds', 1, 2, '--jobs', 2) == 1
    captured = capsys.readouterr()
    (log,) = (tmp_path / 'work' / 'runs').glob('*/seed2/logs/train.log')
    assert str(log) in captured.err and 'tiny_shapes_s2i, seed 2' in captured.err
    assert 'no luck' in log.read_text()
    assert rows_of((tmp_path / 'work' / 'table.md').read_text())['tiny_shapes_s2i'][:2] == [
        '1',
        '50.0',
    ]
    (tool.TOOLS / 'fail2').unlink()
    assert run(CONFIGS[0], '--seeds', 1, 2) == 0
    assert capsys.readouterr().out.count('finished before') == 3  # all of seed 1


def test_a_grid(run, tmp_path, capsys):
    refine = ROOT / 'configs' / 'refine' / 'mask-rcnn_tiny_shapes.py'
    grid = ['--grid', 'model.distiller.rounds=0,1', '--grid', 'model.test_cfg.rounds=0,1']
    arguments = [CONFIGS[1], *grid, '--shapes', '--seeds', 1, '--refine', refine, '--jobs']
    assert run(*arguments, 2) == 0
    assert '4 configs, 1 seeds: 2 trainings' in capsys.readouterr().out
    names = [
        f'tiny_shapes_s2i_i2s[distiller.rounds={a},test_cfg.rounds={b}]' for a in '01' for b in '01'
    ]
    absolute, differences, refined = (tmp_path / 'work' / 'table.md').read_text().split('\n\n')
    for table in (absolute, refined):
        assert list(rows_of(table))[2:] == names
    assert list(rows_of(differences))[2:] == names[1:]
    for results in ('results.json', 'refine_results.json'):
        assert list(json.loads((tmp_path / 'work' / results).read_text())) == names
    (training,) = (tmp_path / 'work' / 'runs').glob('*distiller.rounds-1*')
    variants = sorted(path.name for path in (training / 'seed1').glob('tiny*'))
    assert variants == [
        f'tiny_shapes_s2i_i2s__distiller.rounds-1__test_cfg.rounds-{rounds}' for rounds in '01'
    ]
    assert Config.fromfile(training / f'{training.name}.py').model.distiller.rounds == 1
    assert run(*arguments, 1) == 0
    output = capsys.readouterr().out
    assert output.count('finished before') == 2 + 4 * 5 and 'done in' not in output


def test_configs_from_a_list(run, tmp_path):
    listing = tmp_path / 'list.txt'
    listing.write_text(f'# first\n\n{CONFIGS[1]}  # second\n')
    assert run(CONFIGS[0], '--seeds', 1, '--list', listing) == 0
    results = json.loads((tmp_path / 'work' / 'results.json').read_text())
    assert list(results) == ['tiny_shapes_s2i', 'tiny_shapes_s2i_i2s']


def test_options_of_the_command_line_reach_every_config(run, tmp_path):
    assert run(*CONFIGS, '--seeds', 1, '--cfg-options', 'train_cfg.max_iters=11') == 0
    texts = [path.read_text() for path in (tmp_path / 'work').glob('runs/*/*.py')]
    assert len(texts) == 2 and all('max_iters=11' in text for text in texts)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'no config given'),
        (['gone.py'], r'config not found: gone\.py'),
        (['--list', 'gone.txt'], r'--list: gone\.txt: there is no such file'),
        (['--shapes', ABLATIONS / 'hrnet48_voc_s2i.py'], '--shapes: hrnet48_voc_s2i is not'),
        ([*CONFIGS, '--photographs', 'gone.json', 'gone'], '--photographs: gone: there is no'),
        ([*CONFIGS, '--grid', 'model.beta'], '--grid: expected KEY=VALUE'),
        ([*CONFIGS, '--grid', 'modell.beta=1'], 'modell.beta: no such setting in tiny_shapes_s2i'),
    ],
)
def test_mistakes(tool, tmp_path, arguments, message):
    arguments = ['--work-dir', tmp_path / 'work', '--device', 'cpu', *arguments]
    with pytest.raises(CommandError, match=message):
        tool.main([str(argument) for argument in arguments])
    assert not (tmp_path / 'work').exists()


def commands_of_docs():
    """Yield the complete commands of this tool in the docs, split as by the shell."""
    for page in ('docs/ablations.md', 'docs/paper_tables.md', 'configs/README.md'):
        for block in re.findall(r'```bash\n(.*?)```', (ROOT / page).read_text(), re.S):
            for line in block.replace('\\\n', ' ').splitlines():
                if TOOL.name in line and 'CONFIG' not in line:
                    words = line.split()[2:]
                    yield [word for text in words for word in alternatives(text)]


@pytest.mark.parametrize('command', list(commands_of_docs()), ids=' '.join)
def test_commands_of_the_docs(tool, command):
    args = tool.parse_args(command)
    configs = load_configs([ROOT / path for path in args.configs], cfg_options=args.cfg_options)
    variants = expand_grid(configs, [parse_axis(text) for text in args.grid])
    assert len({str(cfg.to_dict()) for cfg in variants.values()}) == len(variants) >= 1
    assert args.refine is None or (ROOT / args.refine).is_file()


def test_the_tools_understand_their_commands(tmp_path, monkeypatch):
    """Replaces a run with the tools themselves, which take half a minute to start."""
    tools, data = ROOT / 'tools', {1: tmp_path / 'data'}
    (run,) = make_runs(
        load_configs(CONFIGS[:1]), [1], work_dir=tmp_path, tools=tools, data_of_seed=data
    )
    (run.folder / 'train').mkdir(parents=True)
    (run.folder / 'train' / 'last_checkpoint').write_text('iter_1.pth')
    phases = [shapes_phase(tmp_path, 1, tools=tools), *run.phases(run.variants[0])]
    commands = [command for phase in phases for command in phase.commands()]
    parsed = []
    for command in commands:
        monkeypatch.setattr(sys, 'argv', command[1:])
        parse_args = runpy.run_path(command[1])['parse_args']
        parsed.append(parse_args(command[2:]) if signature(parse_args).parameters else parse_args())
    shapes, train, labels, evaluation = parsed
    assert (shapes.num_train, shapes.num_val, shapes.seed) == (300, 0, 1)
    assert train.cfg_options['randomness.seed'] == 1
    for args in (train, labels):
        key = 'train_dataloader.dataset.data_root'
        assert Config.fromfile(args.config).model.type == 'mmp2seg.P2Seg'
        assert args.cfg_options[key] == str(data[1])
    assert labels.checkpoint == 'iter_1.pth' and labels.split == 'train'
    assert evaluation.pred == labels.out and evaluation.json == str(
        run.figures_file(run.variants[0])
    )


SEGMENTER = """
model = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(type='mmp2seg.EfficientNetLite', arch='lite0', out_indices=(3, 4)),
    strides=(16, 32),
    long_side=64,
)
"""
FEW_ITERATIONS = (
    '--cfg-options',
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    *(
        f'{split}_dataloader.{setting}'
        for split in ('train', 'test')
        for setting in ('batch_size=1', 'num_workers=0', 'persistent_workers=False')
    ),
)


@pytest.fixture
def photographs(tmp_path):
    """Two images of bright rectangles, one of them with a crowd."""
    truth = dict(images=[], categories=[dict(id=3, name='x'), dict(id=5, name='y')])
    truth['annotations'] = annotations = []
    (tmp_path / 'images').mkdir()
    for number in (1, 2):
        name = f'{number}.png'
        pixels = np.random.default_rng(number).integers(0, 60, (60, 80, 3)).astype(np.uint8)
        truth['images'].append(dict(id=number, file_name=name, height=60, width=80))
        for category, left, crowd in ((3, 4, 0), (5, 44, 0), (3, 70, number == 2)):
            mask = np.zeros((60, 80), bool)
            mask[10:40, left : left + 24] = True
            pixels[mask] += 150
            annotations.append(
                dict(
                    id=len(annotations) + 7,
                    image_id=number,
                    category_id=category,
                    iscrowd=int(crowd),
                    segmentation=encode_rle(mask),
                )
            )
        cv2.imwrite(str(tmp_path / 'images' / name), pixels)
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    (tmp_path / 'segmenter.py').write_text(SEGMENTER)
    return [tmp_path / 'truth.json', tmp_path / 'images']


@pytest.fixture
def light_tools_in_this_process(monkeypatch):
    """All but the training and its labels run in this process, which saves their start."""
    real = phases.run_logged

    def run_logged(command, log, *, environment):
        tool = Path(command[1]).stem
        if tool in ('train', 'generate_pseudo_labels'):
            return real(command, log, environment=environment)
        return run_tool(tool, *command[2:])

    monkeypatch.setattr(phases, 'run_logged', run_logged)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')


@pytest.mark.parametrize('maps', ['degraded', 'points'])
def test_photographs(maps, photographs, light_tools_in_this_process, tmp_path, capsys):
    """The whole of it, with random weights."""
    options = ['--maps', maps, '--long-side', 64, '--seeds', 1]
    if maps == 'points':
        options += ['--segmenter', tmp_path / 'segmenter.py']
    arguments = [
        *(ROOT / 'configs' / 'p2seg' / 'tiny_own_data.py', '--photographs', *photographs),
        *(*options, '--work-dir', tmp_path / 'work', '--device', 'cpu', *FEW_ITERATIONS),
    ]
    run_tool('run_ablations', *arguments)
    output = capsys.readouterr().out
    assert re.search(r'2 photographs, maps of \d+\.\d mIoU', output)
    table = (tmp_path / 'work' / 'table.md').read_text()
    assert table in output
    rows = rows_of(table.split('\n\n')[0])
    assert list(rows) == ['config', '-' * len(START_ROWS[maps]), START_ROWS[maps], 'tiny_own_data']
    results = json.loads((tmp_path / 'work' / 'results.json').read_text())
    start, trained = (results[name]['seeds']['1'] for name in (START_ROWS[maps], 'tiny_own_data'))
    assert start['num_objects'] == trained['num_objects'] == 5
    assert 0 < start['mean_iou'] <= 1 and 0 <= trained['mean_iou'] <= 1
    keys = ('mean_iou_small', 'mean_iou_large', 'miou')
    assert all(0 <= figures[key] <= 1 for figures in (start, trained) for key in keys)
    is_worse = trained['mean_iou'] < start['mean_iou']
    assert ('tiny_own_data: worse than its start by' in table) == is_worse
    run_tool('run_ablations', *arguments)
    assert 'done in' not in capsys.readouterr().out


@pytest.mark.slow
def test_true_masks_of_some_objects(photographs, light_tools_in_this_process, tmp_path, capsys):
    """The whole of it, with random weights: all masks are kept, half of them, none."""
    arguments = [
        *(ROOT / 'configs' / 'p2seg' / 'tiny_own_data.py', '--photographs', *photographs),
        *('--long-side', 64, '--seeds', 1, '--keep-masks', 0, 0.5, 1),
        *('--work-dir', tmp_path / 'work', '--device', 'cpu', *FEW_ITERATIONS),
    ]
    run_tool('run_ablations', *arguments)
    table = (tmp_path / 'work' / 'table.md').read_text()
    assert 'never masked' in table.splitlines()[0] and table in capsys.readouterr().out
    results = json.loads((tmp_path / 'work' / 'results.json').read_text())
    figures = [
        results[f'tiny_own_data[masks={share}]']['seeds']['1'] for share in ('0', '0.5', '1')
    ]
    assert [one['num_unmasked'] for one in figures] == [3, 3, 3]  # 2 of 5 have masks
    assert figures[2]['mean_iou'] == figures[2]['mean_iou_unmasked'] == 1
    assert figures[0]['mean_iou'] < figures[1]['mean_iou'] < 1
    labels = tmp_path.glob('work/runs/*masks-0.5*/seed1/*/labels/pseudo_labels.json')
    kinds = [a.get('supervision') for a in load(next(labels))['annotations']]
    assert kinds.count('mask') == 2


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([*CONFIGS, '--keep-masks', '.5'], '--keep-masks: expected --shapes or --photographs'),
        ([*CONFIGS, '--shapes', '--keep-masks', '5'], 'expected a number from 0 to 1'),
    ],
)
def test_mistakes_of_shares(tool, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        tool.main([str(argument) for argument in ['--work-dir', tmp_path / 'work', *arguments]])
    assert message in capsys.readouterr().err
