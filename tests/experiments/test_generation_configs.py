from pathlib import Path

import pytest
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.generation_configs import (
    dataset_config,
    make_generations,
    with_weak_maps,
)

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# two training datasets in wrappers; the test has the images of the second and others
CONFIG = """
model = dict(offset_head=dict(type='Offset'), test_cfg=dict(use_weak_map=True))
prefix = dict(img='I', seg_map='W')
first = dict(type='Points', data_root='a', ann_file='t.json', data_prefix=prefix)
second = dict(type='Points', data_root='b/', ann_file='t.json', data_prefix=prefix,
              seg_map_suffix='.tif')
third = dict(type='Points', data_root='b', ann_file='v.json', data_prefix=prefix)
steps = [dict(type='Load')]
train_dataloader = dict(dataset=dict(type='RepeatDataset', dataset=dict(
    type='ConcatDataset', datasets=[dict(type='RepeatDataset', dataset=first), second])))
test_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[
    dict(type='Points', data_root='b', ann_file='t.json', pipeline=steps,
         data_prefix=dict(img='I', seg_map='V')),
    dict(**third, pipeline=steps)]))
train_cfg = dict(max_iters=3)
"""


@pytest.fixture
def cfg(tmp_path):
    (tmp_path / 'joined.py').write_text(CONFIG)
    return Config.fromfile(tmp_path / 'joined.py')


@pytest.fixture
def make(tmp_path):
    def make(cfg, number=2, **options):
        work = tmp_path / 'work'
        return make_generations(cfg, number, work_dir=work, tools=Path('t'), seed=1, **options)

    return make


def test_weak_maps_of_all_datasets(cfg):
    before = cfg.to_dict()
    changed = with_weak_maps(cfg, [Path('/m/0'), Path('/m/1')])
    assert cfg.to_dict() == before
    repeated, second = changed.train_dataloader.dataset.dataset.datasets
    assert repeated.dataset.data_prefix == dict(img='I', seg_map='/m/0')
    assert second.data_prefix.seg_map == '/m/1' and second.seg_map_suffix == '.png'
    assert 'seg_map_suffix' not in repeated.dataset
    same_images, others = changed.test_dataloader.dataset.datasets
    assert same_images.data_prefix.seg_map == '/m/1'
    assert others.data_prefix.seg_map == 'W'


def test_config_of_one_dataset(cfg):
    one = dataset_config(cfg, 1, maps=Path('/m'), min_confidence=0.7)
    assert one.train_dataloader.dataset.data_root == 'b/'
    test = one.test_dataloader.dataset
    assert (test.ann_file, test.data_root, test.test_mode) == ('t.json', 'b/', True)
    assert [step.type for step in test.pipeline] == ['Load']
    assert one.test_evaluator == dict(
        type='mmp2seg.SemanticMapWriter', folder='/m', min_confidence=0.7
    )
    assert one.model.test_cfg == dict(use_weak_map=True, return_maps=True)
    assert one.test_cfg.type == 'TestLoop' and 'test_cfg' not in cfg


def test_each_dataset_has_its_own_maps(make, cfg):
    first, second = make(cfg)
    maps = [dataset.maps for dataset in first.datasets]
    assert [path.parent for path in maps] == [first.folder / 'maps'] * 2 and len({*maps}) == 2
    assert [dataset.weak_maps for dataset in second.datasets] == maps
    for dataset, path in zip(second.datasets, maps, strict=True):
        one = Config.fromfile(dataset.config)
        assert one.train_dataloader.dataset.data_prefix.seg_map == str(path)
        assert one.test_dataloader.dataset.data_prefix.seg_map == str(path)
        assert one.test_evaluator.folder == str(dataset.maps)
    assert first.truth is None
    with pytest.raises(CommandError, match='--truth: expected one training dataset, got 2'):
        make(cfg, truth=Path('t.json'))


def test_generations_of_a_config_of_the_package(make):
    cfg = Config.fromfile(CONFIGS / 'p2seg' / 'tiny_shapes.py')
    first, second, third = make(cfg, 3, min_confidence=0.9)
    train = Config.fromfile(first.config)
    assert train.train_dataloader == cfg.train_dataloader and train.train_cfg == cfg.train_cfg
    assert 'test_dataloader' not in train
    (dataset,) = second.datasets
    assert dataset.weak_maps == first.folder / 'maps' == first.datasets[0].maps
    assert third.datasets[0].weak_maps == second.folder / 'maps'
    changed = Config.fromfile(second.config).train_dataloader.dataset
    assert changed.data_prefix.pop('seg_map') == str(first.folder / 'maps')
    assert changed.data_prefix == dict(img='JPEGImages', points='Center_points')
    assert Config.fromfile(dataset.config).test_evaluator.min_confidence == 0.9


def test_a_change_is_another_file(make, cfg):
    (first,) = make(cfg, 1)
    (other,) = make(cfg, 1, min_confidence=0.5)
    assert first.config == other.config  # the training of the first generation stays
    assert first.datasets[0].config != other.datasets[0].config
    cfg.train_cfg.max_iters = 4
    (other,) = make(cfg, 1)
    assert first.config != other.config


def test_truth(make, tmp_path):
    cfg = Config.fromfile(CONFIGS / 'p2seg' / 'tiny_shapes.py')
    assert make(cfg, 1)[0].truth is None  # the file does not exist
    truth = tmp_path / 'truth.json'
    cfg.test_evaluator[1].update(ann_file=str(truth), match='order')
    truth.touch()
    assert (make(cfg, 1)[0].truth, make(cfg, 1)[0].match) == (truth, 'order')
    assert make(cfg, 1, truth=Path('other.json'))[0].truth == Path('other.json')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ("model = dict(type='MaskRCNN')", 'expected a config of stage 1'),
        ('train_dataloader = None', 'joined.py: the config has no train_dataloader'),
        ('test_dataloader = None', 'the config has no test_dataloader'),
        ("second['data_prefix'] = dict(img='I')", r'weak maps, data_prefix\.seg_map, .*a Points'),
        ("second.pop('data_prefix')", r'weak maps, data_prefix\.seg_map'),
    ],
)
def test_configs_that_do_not_fit(make, tmp_path, changes, message):
    path = tmp_path / 'joined.py'
    path.write_text(CONFIG + changes)
    with pytest.raises(CommandError, match=message):
        make(Config.fromfile(path))
    assert not (tmp_path / 'work').exists()
