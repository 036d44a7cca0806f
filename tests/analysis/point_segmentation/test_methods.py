"""Choose methods by name, from a config or by registered type."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.model import BaseModule

from mmp2seg.analysis.point_segmentation import methods
from mmp2seg.analysis.point_segmentation.methods import (
    BASELINE_METHODS,
    build_method,
    choose_methods,
)
from mmp2seg.registry import MODELS
from mmp2seg.segmenters import NearestSplit, PointBaseline

DISCS = dict(type='mmp2seg.PointBaseline', rule='discs')


def test_defaults():
    assert choose_methods(None, configured={}) == BASELINE_METHODS
    assert choose_methods(None, configured={'mine': DISCS}) == {'mine': DISCS}


def test_names_of_all_kinds_in_the_given_order():
    chosen = choose_methods(
        ['mmp2seg.NearestSplit', 'grabcut', 'mine'], configured={'mine': DISCS, 'other': DISCS}
    )
    assert chosen == {
        'mmp2seg.NearestSplit': dict(type='mmp2seg.NearestSplit'),
        'grabcut': dict(type='mmp2seg.PointBaseline', rule='grabcut'),
        'mine': DISCS,
    }
    assert list(chosen) == ['mmp2seg.NearestSplit', 'grabcut', 'mine']


def test_the_config_takes_precedence_over_a_baseline():
    assert choose_methods(['grabcut'], configured={'grabcut': DISCS}) == {'grabcut': DISCS}


@pytest.mark.parametrize('name', ['grabcat', 'mmp2seg.Nothing', 'x'])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f'expected a method of .*got {name!r}'):
        choose_methods([name], configured={})
    with pytest.raises(ValueError, match='did you mean grabcut'):
        choose_methods(['grabcat'], configured={})


@pytest.mark.parametrize('config', [5, dict(rule='discs')])
def test_configs_without_a_type(config):
    with pytest.raises(ValueError, match=r'methods.mine: expected a dict with a type, got'):
        choose_methods(['mine'], configured={'mine': config})


def test_every_baseline_can_be_built():
    built = {name: build_method(config) for name, config in BASELINE_METHODS.items()}
    assert isinstance(built['nearest'], NearestSplit)
    assert {name: method.rule for name, method in built.items() if name != 'nearest'} == {
        name: name for name in ('discs', 'watershed', 'grabcut')
    }


def test_build_does_not_change_the_config_and_finds_models(monkeypatch):
    config = dict(DISCS)
    assert isinstance(build_method(config), PointBaseline)
    assert config == DISCS

    class Network:
        def __init__(self, *, width):
            self.width = width

    monkeypatch.setitem(MODELS._module_dict, 'TestNetwork', Network)
    assert build_method(dict(type='mmp2seg.TestNetwork', width=3)).width == 3


def test_training_sees_pixels_and_points_only(monkeypatch):
    seen = {}

    class Training:
        def __init__(self, **options):
            seen['options'] = options

        def fit(self, method, images, *, num_classes, work_dir):
            seen.update(images=list(images), num_classes=num_classes, work_dir=work_dir)

    class Images(list):
        classes = ('a', 'b')

    monkeypatch.setattr(methods, 'ClassHeadTraining', Training)
    truth = SimpleNamespace(
        image_rgb=np.zeros((2, 3, 3), np.uint8),
        points_xy=[[1.5, 0.5]],
        labels=[1],
        background_xy=None,
    )
    config = dict(type='x', class_head_training=dict(generations=2))
    methods.train_method(None, config, Images([truth]), work_dir='w')
    assert seen['options'] == dict(generations=2)
    assert (seen['num_classes'], seen['work_dir']) == (2, 'w')
    (image,) = seen['images']
    assert image.points_xy.tolist() == [[1.5, 0.5]] and image.labels.tolist() == [1]
    seen.clear()
    methods.train_method(None, dict(type='x'), Images([truth]), work_dir='w')
    assert seen == {}


def test_a_network_gives_its_maps_to_the_method(monkeypatch):
    class Maps:
        def __init__(self, cfg, checkpoint):
            self.places = (cfg, checkpoint)

        def __call__(self, image, *, points_xy, labels):
            return (self.places, points_xy, labels)

    class Method(BaseModule):
        def forward(self, image, *, network_maps, points_xy, labels):
            return network_maps

    monkeypatch.setattr(methods, 'NetworkMaps', Maps)
    monkeypatch.setattr(methods, 'load_config', lambda path: f'read {path}')
    monkeypatch.setitem(MODELS._module_dict, 'TestMethod', Method)
    network = dict(config='c.py', checkpoint='c.pth')
    method = build_method(dict(type='mmp2seg.TestMethod', network=network))
    assert method(None, points_xy=[1], labels=[0]) == (('read c.py', 'c.pth'), [1], [0])
    assert method(None, points_xy=[], labels=[]) is None
