import inspect
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from mmp2seg.apis.arguments import CommandError
from mmp2seg.datasets.shapes.scene import SHAPES_CLASSES
from mmp2seg.experiments.grid import expand_grid, parse_axis
from mmp2seg.experiments.stage1_configs import (
    TRAINING_KEYS,
    load_configs,
    make_runs,
    match_of,
    require_classes,
    training_part,
    truth_of,
)
from mmp2seg.experiments.stage2_configs import config_key

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'ablations'

CONFIG = """
labeler = dict(type='mmp2seg.PointPseudoLabeler', min_region_area=3)
pipeline = [dict(type='Load'), dict(type='Targets')]
decoder = dict(grouping='offset')
model = dict(type='Net', labeler=labeler, test_cfg=dict(decoder=decoder), rounds=1)
train_dataloader = dict(dataset=dict(type='Data', metainfo=dict(classes=('a',)), pipeline=pipeline))
train_cfg = dict(max_iters=3)
test_evaluator = [dict(type='Writer'), dict(type='mmp2seg.PseudoMaskMetric', ann_file='t.json')]
"""


@pytest.fixture
def write(tmp_path):
    def write(name, changes=''):
        path = tmp_path / f'{name}.py'
        path.write_text(CONFIG + changes)
        return path

    return write


def key_of(cfg):
    return config_key(training_part(cfg))


def load_ablations(network, *names):
    return load_configs([CONFIGS / f'{network}_{name}.py' for name in names]).values()


@pytest.mark.parametrize(
    ('changes', 'shares'),
    [
        ("decoder['grouping'] = 'nearest'", True),
        ("model['test_cfg'] = None", True),
        ("test_evaluator = None\ntest_dataloader = dict(batch_size=3)\nwork_dir = 'x'", True),
        ("labeler['min_region_area'] = 4", False),
        ("model['rounds'] = 2", False),
        ("model['decoder'] = 2", False),
        ("train_cfg['max_iters'] = 4", False),
        ("train_dataloader['batch_size'] = 2", False),
        ('randomness = dict(seed=1)', False),
    ],
)
def test_what_a_training_depends_on(write, changes, shares):
    first, second = load_configs([write('a'), write('b', changes)]).values()
    assert (key_of(first) == key_of(second)) == shares
    assert config_key(first.to_dict()) != config_key(second.to_dict())


def test_training_part_leaves_the_config_alone(write):
    cfg = Config.fromfile(write('a'))
    before = cfg.to_dict()
    part = training_part(cfg)
    assert cfg.to_dict() == before
    assert part['model'] == dict(type='Net', labeler=cfg.labeler, rounds=1)


def test_every_argument_of_the_runner_is_considered():
    arguments = set(inspect.signature(Runner.__init__).parameters)
    of_the_run = {'self', 'work_dir', 'resume', 'launcher', 'experiment_name', 'cfg'}
    of_the_test = {name for name in arguments if name.startswith(('val_', 'test_'))}
    from_elsewhere = {
        'custom_imports',
        'find_unused_parameters',
        'model_wrapper_cfg',
        'runner_type',
        'sync_bn',
    }
    assert set(TRAINING_KEYS) == (arguments - of_the_run - of_the_test) | from_elsewhere


@pytest.mark.parametrize(
    ('network', 'base', 'other'),
    [('tiny_shapes', 's2i', 's2i_i2s'), ('hrnet48_voc', 's2i_i2s', 's2i')],
)
def test_which_ablations_share_a_training(network, base, other):
    groups = [
        (base, 'semantic_first', 'semantic_first_regions', f'{base}_weak_map', 'g_inference'),
        ('bestie', 'bestie_targets'),
        ('s_none', 's_inference'),
        (other, f'{other}_weak_map'),
        ('g_offset',),
        ('g_semantic',),
        ('s_offset',),
        ('s_semantic',),
    ]
    keys = [{key_of(cfg) for cfg in load_ablations(network, *names)} for names in groups]
    assert [len(of_group) for of_group in keys] == [1] * len(groups)
    assert len(set.union(*keys)) == len(groups)


def test_a_grid_of_test_settings_shares_a_training(tmp_path):
    configs = load_configs([CONFIGS / 'tiny_shapes_s_offset.py'])
    axes = [parse_axis('model.distiller.beta=1.0,2.0'), parse_axis('model.test_cfg.rounds=0,1')]
    runs = make_runs(expand_grid(configs, axes), [1], work_dir=tmp_path, tools=Path('tools'))
    base = 'tiny_shapes_s_offset[distiller.beta={},test_cfg.rounds={}]'
    names = [[variant.name for variant in run.variants] for run in runs]
    assert names == [[base.format(beta, rounds) for rounds in (0, 1)] for beta in ('1.0', '2.0')]
    (plain,) = make_runs(configs, [1], work_dir=tmp_path, tools=Path('tools'))
    assert plain.folder == runs[0].folder  # beta = 1.0 is the config's own value
    for run in runs:
        assert run.config.is_file()
        for variant in run.variants:
            assert variant.config.is_file()
            assert not set(str(run.labels(variant))) & set('[], =')


def test_names(write, tmp_path):
    path = write('a')
    assert list(load_configs([write('b'), path, path])) == ['b', 'a']
    (tmp_path / 'sub').mkdir()
    other = tmp_path / 'sub' / 'a.py'
    other.write_text(CONFIG)
    with pytest.raises(CommandError, match='two configs named a: .*/a.py, .*/sub/a.py'):
        load_configs([path, other])
    with pytest.raises(CommandError, match=r'config not found: .*gone\.py'):
        load_configs([tmp_path / 'gone.py'])


def test_truth_is_the_metrics(write):
    assert truth_of(Config.fromfile(write('a'))) == Path('t.json')
    assert truth_of(Config.fromfile(write('b', "test_evaluator = dict(type='Writer')"))) is None
    assert truth_of(Config()) is None


def test_shapes_need_their_classes(write):
    require_classes(load_configs([CONFIGS / 'tiny_shapes_s2i.py']), SHAPES_CLASSES)
    require_classes(load_configs([write('a')]), ['a'])
    for path in (write('a'), CONFIGS / 'hrnet48_voc_s2i.py'):
        with pytest.raises(CommandError, match=f'--shapes: {path.stem} is not a config for Shapes'):
            require_classes(load_configs([path]), SHAPES_CLASSES)


def test_chains(write, tmp_path):
    nearest = "decoder['grouping'] = 'nearest'"
    paths = [write('a'), write('b', "model['rounds'] = 2"), write('c', nearest)]
    configs = load_configs(paths, cfg_options={'train_cfg.max_iters': 7})
    options = dict(work_dir=tmp_path / 'work', tools=Path('tools'), device='cpu')
    runs = make_runs(configs, [4, 5], **options)
    assert [run.title for run in runs] == [
        'a + c, seed 4',
        'b, seed 4',
        'a + c, seed 5',
        'b, seed 5',
    ]
    assert len({run.folder for run in runs}) == 4
    assert runs[0].config == runs[2].config
    for run in runs:
        trained = Config.fromfile(run.config)
        assert trained.train_cfg.max_iters == 7
        assert 'test_evaluator' not in trained
        for variant in run.variants:
            assert variant.truth == Path('t.json')
            assert Config.fromfile(variant.config).to_dict() == configs[variant.name].to_dict()
            assert key_of(Config.fromfile(variant.config)) == config_key(trained.to_dict())


def test_a_later_run_finds_the_folder_whatever_config_named_it(write, tmp_path):
    a, c = write('a'), write('c', "decoder['grouping'] = 'nearest'")
    options = dict(work_dir=tmp_path / 'work', tools=Path('tools'))
    (before,) = make_runs(load_configs([a]), [1], **options)
    (after,) = make_runs(load_configs([c, a]), [1], **options)
    assert (after.folder, after.config) == (before.folder, before.config)
    a.write_text(a.read_text().replace('max_iters=3', 'max_iters=4'))
    (changed,) = make_runs(load_configs([a]), [1], **options)
    assert changed.folder != before.folder


def test_truth_and_data_of_the_command_line(write, tmp_path):
    options = dict(work_dir=tmp_path / 'work', tools=Path('tools'))
    configs = load_configs([write('a')])
    (run,) = make_runs(configs, [1], truth=Path('u.json'), **options)
    assert run.variants[0].truth == Path('u.json')
    (run,) = make_runs(configs, [1], data_of_seed={1: Path('d')}, **options)
    assert run.data == Path('d')


def test_match_is_the_metrics(write):
    metric = "test_evaluator = [dict(type='mmp2seg.PseudoMaskMetric', ann_file='t', match='order')]"
    assert match_of(Config.fromfile(write('a', metric))) == 'order'
    assert match_of(Config.fromfile(write('b', "test_evaluator = dict(type='Writer')"))) is None
    drift = "test_dataloader = dict(dataset=dict(type='D', pipeline=[dict(type='x.DriftPoints')]))"
    assert match_of(Config.fromfile(write('c', drift))) == 'order'
    coco = "test_dataloader = dict(dataset=dict(type='mmp2seg.PointCocoDataset'))"
    assert match_of(Config.fromfile(write('d', coco))) == 'point_id'
    root = Path(__file__).resolve().parents[2] / 'configs' / 'ablations'
    found = [match_of(Config.fromfile(root / f'hrnet48_{n}.py')) for n in ('voc_s2i', 'voc_drift')]
    assert found == [None, 'order']


def test_another_stage_2_has_another_folder(write, tmp_path):
    refine = tmp_path / 'refine.py'

    def refine_of(content, test_data):
        refine.write_text(content)
        (run,) = make_runs(
            load_configs([write('a')]),
            [1],
            work_dir=tmp_path / 'work',
            tools=tmp_path,
            data_of_seed={1: tmp_path},
            test_data_of_seed={1: tmp_path / test_data},
            refine=(refine.stem, Config.fromfile(refine)),
        )
        return run.refine

    content = """
train_dataloader = dict(dataset=dict(ann_file='x', data_prefix=dict(img='y')))
test_dataloader = train_dataloader
test_evaluator = dict(type='CocoMetric', ann_file='x')
"""
    first = refine_of(content, 'val100')
    assert first == refine_of(content, 'val100') and first.startswith('refine-')
    assert first != refine_of(content, 'val20')
    assert first != refine_of(content + 'max_epochs = 1', 'val100')
