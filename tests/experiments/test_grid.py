import pytest
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.grid import GridAxis, expand_grid, parse_axis

DRIFT = [dict(type='Load'), dict(type='Drift', sigma=1)]


@pytest.fixture
def cfg():
    return Config(
        dict(
            drift=DRIFT[1],
            train_pipeline=DRIFT,  # a helper of the file, which no run reads
            model=dict(distiller=dict(rounds=1, beta=1.0), loss=dict(beta=0.5), head=None),
            train_dataloader=dict(dataset=dict(pipeline=DRIFT)),
            test_dataloader=dict(dataset=dict(pipeline=DRIFT)),
        )
    )


def expand(cfg, *axes):
    return expand_grid({'a': cfg}, [parse_axis(axis) for axis in axes])


@pytest.mark.parametrize(
    ('text', 'values'),
    [
        ('1,2', (1, 2)),
        ('0.5', (0.5,)),
        ('1e-3,2', (1e-3, 2)),
        ('none,offset', ('none', 'offset')),
        ('None,True,false', (None, True, False)),
        ('[1,2],[3,4]', ([1, 2], [3, 4])),
        ('[1,2]', ([1, 2],)),
        ('(1,2),3', ((1, 2), 3)),
        ('1,2,1', (1, 2)),
        ('1,1.0,True', (1, 1.0, True)),
        ('"a","b"', ('a', 'b')),
    ],
)
def test_values_are_parsed_like_config_options(text, values):
    axis = parse_axis(f'a.b={text}')
    assert axis == GridAxis(('a.b',), values)
    assert [type(value) for value in axis.values] == [type(value) for value in values]


def test_an_equals_sign_in_a_value_stays():
    assert parse_axis('a=b=c') == GridAxis(('a',), ('b=c',))


def test_several_keys():
    assert parse_axis('a.b+c.0.d+a.b=1') == GridAxis(('a.b', 'c.0.d'), (1,))


@pytest.mark.parametrize(
    'text', ['a', 'a=', '=1', 'a.=1', 'a..b=1', '+a=1', 'a =1', 'a=1,,2', 'a=1,', 'a=[1,2', 'a=1]']
)
def test_mistakes_in_the_text(text):
    with pytest.raises(CommandError, match=r'^--grid: .*' + re_escape(text)):
        parse_axis(text)


def re_escape(text):
    return text.replace('[', r'\[').replace('+', r'\+')


def test_without_axes_the_configs_stay(cfg):
    assert expand_grid({'a': cfg}, []) == {'a': cfg}


def test_product_in_order(cfg):
    variants = expand_grid(
        {'a': cfg, 'b': cfg},
        [parse_axis('model.distiller.rounds=0,1'), parse_axis('model.head=x,y')],
    )
    settings = ['rounds=0,head=x', 'rounds=0,head=y', 'rounds=1,head=x', 'rounds=1,head=y']
    assert list(variants) == [f'{name}[{setting}]' for name in 'ab' for setting in settings]
    assert variants['b[rounds=0,head=y]'].model == dict(
        distiller=dict(rounds=0, beta=1.0), loss=dict(beta=0.5), head='y'
    )
    assert cfg.model.distiller.rounds == 1 and cfg.model.head is None  # copies were changed


def test_a_name_is_the_shortest_end_that_is_unambiguous(cfg):
    assert list(expand(cfg, 'model.distiller.beta=2.0')) == ['a[distiller.beta=2.0]']
    assert list(expand(cfg, 'model.distiller.rounds=2')) == ['a[rounds=2]']
    both = expand(cfg, 'model.distiller.beta+model.loss.beta=2.0')
    assert list(both) == ['a[beta=2.0]']
    # an argument that the config leaves at its default
    assert list(expand(cfg, 'model.loss.rounds=2')) == ['a[loss.rounds=2]']
    # a setting of another config counts as well
    other = Config(dict(model=dict(distiller=dict(rounds=1), test=dict(rounds=1))))
    axis = parse_axis('model.distiller.rounds=2')
    assert list(expand_grid({'a': cfg, 'b': other}, [axis])) == [
        'a[distiller.rounds=2]',
        'b[distiller.rounds=2]',
    ]


def test_lists_in_a_name(cfg):
    (name,) = expand(cfg, 'model.head=[1,2]')
    assert name == 'a[head=[1,2]]'


def test_a_setting_in_two_places(cfg):
    keys = [f'{split}_dataloader.dataset.pipeline.1.sigma' for split in ('train', 'test')]
    variants = expand(cfg, f'{"+".join(keys)}=5,10')
    assert list(variants) == ['a[sigma=5]', 'a[sigma=10]']
    for sigma, variant in zip((5, 10), variants.values()):
        for loader in (variant.train_dataloader, variant.test_dataloader):
            assert loader.dataset.pipeline == [DRIFT[0], dict(type='Drift', sigma=sigma)]
    assert list(expand(cfg, f'{keys[0]}=5')) == ['a[train_dataloader.dataset.pipeline.1.sigma=5]']
    different = expand(cfg, 'model.distiller.rounds+model.loss.beta=2')
    assert list(different) == ['a[rounds+loss.beta=2]']


@pytest.mark.parametrize(
    ('key', 'problem'),
    [
        ('model.distilller.beta', "model has no 'distilller'"),
        ('modell', "the config has no 'modell'"),
        ('modell.distiller.beta', "the config has no 'modell'"),
        ('model.head.size', "model.head has no 'size'"),
        ('model.loss.beta.x', "model.loss.beta has no 'x'"),
        ('test_dataloader.dataset.pipeline.2.sigma', 'test_dataloader.dataset.pipeline has 2 entr'),
        ('test_dataloader.dataset.pipeline.2', 'test_dataloader.dataset.pipeline has 2 entries'),
        ('test_dataloader.dataset.pipeline.x.sigma', 'test_dataloader.dataset.pipeline has 2 en'),
    ],
)
def test_unknown_settings(cfg, key, problem):
    message = f'^--grid: {key}: no such setting in a: {problem}'
    with pytest.raises(CommandError, match=message):
        expand(cfg, f'{key}=1')


def test_a_setting_is_given_once(cfg):
    with pytest.raises(CommandError, match='--grid: model.head is given twice'):
        expand(cfg, 'model.head=1', 'model.head=2')
