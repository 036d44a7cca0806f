import importlib

import pytest
from mmengine.registry import DefaultScope, Registry

from mmp2seg import registry

REGISTRIES = {
    name: value for name, value in vars(registry).items() if name.isupper() and name != 'SCOPE'
}
OURS = {name: value for name, value in REGISTRIES.items() if not name.startswith('MMENGINE_')}


@pytest.fixture(params=['mmdet', 'mmseg', 'mmp2seg'])
def default_scope(request):
    with DefaultScope.overwrite_default_scope(request.param):
        yield request.param


def test_every_registry_of_the_package_is_listed():
    expected = {'DATASETS', 'TRANSFORMS', 'MODELS', 'TASK_UTILS', 'METRICS', 'HOOKS', 'VISUALIZERS'}
    assert expected <= set(OURS)


@pytest.mark.parametrize('name', OURS)
def test_registry_is_a_child_of_the_root(name):
    child = OURS[name]
    assert isinstance(child, Registry)
    assert child.scope == 'mmp2seg'
    assert child.parent is getattr(importlib.import_module('mmengine.registry'), name)


@pytest.mark.parametrize('name', OURS)
def test_locations_can_be_imported(name):
    assert OURS[name]._locations
    for location in OURS[name]._locations:
        importlib.import_module(location)


@pytest.mark.parametrize('name', ['MODELS', 'TRANSFORMS', 'METRICS', 'TASK_UTILS'])
@pytest.mark.parametrize('framework', ['mmengine', 'mmdet', 'mmseg'])
def test_prefixed_type_resolves_from_every_framework_and_scope(name, framework, default_scope):
    ours = OURS[name]
    theirs = getattr(importlib.import_module(f'{framework}.registry'), name)

    class ThrowAway:
        def __init__(self, value):
            self.value = value

    ours.register_module(module=ThrowAway)
    try:
        built = theirs.build(dict(type='mmp2seg.ThrowAway', value=3))
        assert type(built) is ThrowAway
        assert built.value == 3
        with pytest.raises(KeyError, match='NobodyRegisteredThis'):
            theirs.build(dict(type='mmp2seg.NobodyRegisteredThis'))
    finally:
        del ours.module_dict['ThrowAway']
