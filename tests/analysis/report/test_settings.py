import os

import pytest

from mmp2seg.analysis.report.settings import describe_settings, find_config, read_settings

CONFIG = """
model = dict(type='P2Seg', backbone=dict(depth=50, type='ResNet'), options={'a': (1, -2.5)})
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        type='Repeat',
        dataset=dict(type='Voc', metainfo=dict(classes=('x', 'y')), ann_file='train.txt')))
train_cfg = dict(max_iters=20)
optim_wrapper = dict(optimizer=dict(lr=0.1, type='SGD'))
computed = 2 * 3
load_from = None
raise RuntimeError('a report runs no config')
"""


def test_settings_are_read_without_running_them(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text(CONFIG)
    settings = read_settings(path)
    assert settings['model']['options'] == {'a': [1, -2.5]}
    assert settings['load_from'] is None
    assert 'computed' not in settings
    assert describe_settings(settings) == [
        ('model', 'P2Seg'),
        ('backbone', 'ResNet'),
        ('classes', 'x, y'),
        ('data', 'Voc'),
        ('annotations', 'train.txt'),
        ('batch size', '8'),
        ('iterations', '20'),
        ('optimizer', 'SGD'),
        ('learning rate', '0.1'),
    ]
    assert describe_settings({}) == []


def test_a_config_that_is_no_python(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text('a = 1\nb = = 2\n')
    for text in ('a = 1\0', f'a = {"[" * 9000}{"]" * 9000}', 'a = ' + '-' * 200_000 + '1'):
        (tmp_path / 'deep.py').write_text(text)
        with pytest.raises(ValueError, match=r'deep.py: '):
            read_settings(tmp_path / 'deep.py')
    with pytest.raises(ValueError, match=r'config.py: line 2: invalid syntax'):
        read_settings(path)


def test_the_newest_config(tmp_path):
    assert find_config(tmp_path) is None
    logged = tmp_path / '1' / 'vis_data' / 'config.py'
    logged.parent.mkdir(parents=True)
    logged.write_text('')
    assert find_config(tmp_path) == logged
    for age, name in ((100, 'old.py'), (10, 'new.py')):
        (tmp_path / name).write_text('')
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    assert find_config(tmp_path) == tmp_path / 'new.py'
