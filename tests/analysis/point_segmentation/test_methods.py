"""Choose methods by name, from a config or by registered type."""

import pytest

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
