from pathlib import Path

import pytest

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.config_names import resolve_config

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ROOT / 'configs' / 'p2seg' / 'tiny_shapes.py'


@pytest.mark.parametrize(
    'name',
    [
        'p2seg/tiny_shapes.py',
        'p2seg/tiny_shapes',
        'configs/p2seg/tiny_shapes.py',
        Path('p2seg', 'tiny_shapes'),
        'p2seg_tiny_shapes',
        SHAPES,
    ],
)
def test_names_of_a_config(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # not the checkout
    assert Path(resolve_config(name)) == SHAPES


def test_a_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'p2seg').mkdir()
    (tmp_path / 'p2seg' / 'tiny_shapes.py').write_text('')
    assert resolve_config('p2seg/tiny_shapes.py') == 'p2seg/tiny_shapes.py'


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('p2seg/tiny_shape', r'^config not found: p2seg/tiny_shape: .*did you mean p2seg.tiny_sha'),
        ('../setup', r'^config not found: \.\./setup: '),
        ('qqqqqqq.py', r'or a name of model-index\.yml$'),
    ],
)
def test_unknown_names(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CommandError, match=message):
        resolve_config(name)
