import pytest

from mmp2seg.files.config_reading import merge_options, read_config

BASE = """
model = dict(type='A', width=4, layers=[dict(width=1)], rule=dict(layer1=1), interval=2)
train_dataloader = dict(batch_size=2)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(**texts):
        for name, text in texts.items():
            (tmp_path / f'{name}.py').write_bytes(text.encode('latin1'))
        return tmp_path

    return write


def test_a_config_with_its_base_and_options(write):
    write(base=BASE, a="_base_ = ['base.py']\nmodel = dict(width=6)\n")
    cfg = read_config('a.py', options={'model.layers.0.width': 3, 'model.new.deep': 1})
    assert cfg.model.to_dict() == dict(
        type='A',
        width=6,
        layers=[dict(width=3)],
        rule=dict(layer1=1),
        interval=2,
        new=dict(deep=1),
    )


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a = 1\nb = dict(', r"a.py:2: '\(' was never closed"),
        ("a = 1\n_base_ = 'gone.py'", r"a.py:2: _base_ 'gone.py': there is no file .*/gone.py"),
        ("_base_ = [\n'base.py',\n'broken.py']", 'broken.py:3: invalid syntax'),
        ("_base_ = 'a.py'", "a.py:1: _base_ 'a.py': expected another config, got a circle"),
        ("_base_ = 'b.py'", "b.py:1: _base_ './a.py': expected another config, got a circle"),
        (
            "_base_ = 'mmdet::a/gone.py'",
            "a.py:1: _base_ 'mmdet::a/gone.py': .* does not exist",
        ),
        ("_base_ = 'nobody::x.py'", "a.py:1: _base_ 'nobody::x.py': .*package"),
        ('a = 1\n\nb = undefined', r"a.py:3: NameError: name 'undefined' is not defined"),
        ('a = 1\nb = {}["key"]', 'a.py:2: KeyError: key'),
        (f'a = {"-" * 200_000}1', 'a.py: .* nested too deeply'),
        ("_base_ = 'fails.py'", 'fails.py:2: ZeroDivisionError: division by zero'),
        ('# voil\xe0', 'a.py: expected text in UTF-8, got the byte 0xe0 in line 1'),
        ("_base_ = ['base.py', 'base.py']", 'a.py: KeyError: Duplicate key is not allowed'),
        ("custom_imports = dict(imports=['no_such_module'])", 'a.py: ImportError.*no_such_module$'),
    ],
)
def test_what_is_wrong_in_one_line(write, text, message):
    write(a=text, b="_base_ = './a.py'", base=BASE, fails='a = 1\nb = 1 / 0', broken='a = 1\n\nx =')
    with pytest.raises(ValueError, match=message) as info:
        read_config('a.py')
    assert '\n' not in str(info.value)


@pytest.mark.parametrize(
    ('key', 'message'),
    [
        ('trian_dataloader.batch_size', 'no such setting: did you mean train_dataloader'),
        ('xyzzy', 'xyzzy: no such setting$'),
        ('model.widht', None),  # too different to be sure: mmengine's class says so
        ('train_dataloader.batchsize', "no 'batchsize': did you mean batch_size"),
        ('model.intervals', "no 'intervals': did you mean interval"),
        ('model.rule.layer2', None),
        ('model.layers.3.width', r'model.layers.3.width=5: Index 3 exceeds the length'),
        ('model.width.deep', 'model.width.deep=5: .*width'),
        ('val_cfg.interval', None),
        ('point_segmenter', None),
        ('load_from', None),
        ('randomness.seed', None),
    ],
)
def test_options(write, key, message):
    write(a=BASE)
    cfg = read_config('a.py')
    options = {'model.type': 'B', key: 5}
    if message is None:
        merge_options(cfg, options)
        node = cfg
        for part in key.split('.'):
            node = node[part]
        assert node == 5 and cfg.model.type == 'B'
        return
    with pytest.raises(ValueError, match=f'--cfg-options .*{message}'):
        merge_options(cfg, options)
