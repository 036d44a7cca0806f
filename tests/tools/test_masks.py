import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import save_checkpoint
from PIL import Image

from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.rle import decode_rle
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.registry import MODELS
from mmp2seg.testing.tiny_sam import write_tiny_sam

from .tool_runs import run_tool

RANDOM = ('--cfg-options', 'model.backbone.init_cfg=None', 'model.long_side=64')
POINTS = """file,x,y,class
a.jpg,10.5,20.5,cat
a.jpg,40.5,20.5,dog
a.jpg,25,5,background
deep.png,12,12,cat
sub/tiny.png,0.5,0.5,dog
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A grey photograph, an image of 12 bits in 16, an image of one pixel, one without points."""
    monkeypatch.chdir(tmp_path)
    values = np.random.default_rng(0).integers(0, 60, (40, 50))
    values[10:30, 5:20] += 150
    Path('images/sub').mkdir(parents=True)
    Image.fromarray(values.astype(np.uint8)).save('images/a.jpg')
    cv2.imwrite('images/deep.png', (values * 16).astype(np.uint16))
    Image.new('RGB', (1, 1), 'red').save('images/sub/tiny.png')
    Image.new('RGBA', (12, 10), 'red').save('images/empty.png')
    Path('points.csv').write_text(POINTS)
    return tmp_path


def masks(*options, points='points.csv'):
    arguments = ('images', points, '--out', 'new/labels.json', *options)
    run_tool('masks', *arguments, '--device', 'cpu', *RANDOM)


def test_masks_maps_and_pictures(folder, capsys):
    masks('--maps', 'maps', '--draw', 'pictures', '--list-images', '--classes', 'dog', 'cat')
    labels = load('new/labels.json')
    names = ['a.jpg', 'deep.png', 'sub/tiny.png', 'empty.png']
    assert [image['file_name'] for image in labels['images']] == names
    assert [category['name'] for category in labels['categories']] == ['dog', 'cat']
    assert labels['info']['method'] == 'mmp2seg.PointSegmenter'
    assert labels['info']['options']['long_side'] == 64
    assert len(labels['annotations']) == 4 and labels['dropped_points'] == []
    for annotation in labels['annotations']:
        x, y = annotation['point']
        assert decode_rle(annotation['segmentation'])[int(y), int(x)]
    assert read_index_png('maps/sub/tiny.png').tolist() == [[1]]
    assert read_index_png('maps/a.png').shape == (40, 50)
    assert np.isin(read_index_png('maps/deep.png'), (0, 2, 255)).all()
    assert not read_index_png('maps/empty.png').any()
    assert len(list(Path('pictures').rglob('*.png'))) == 4
    out = capsys.readouterr().out
    assert '4 images (1 without points), 4 points' in out and '1 background clicks' in out
    assert 'new/labels.json: 4 masks in 4 images' in out and 's per image' in out
    assert 'semantic maps: maps' in out and 'pictures: pictures' in out
    assert 'PretrainedInit' not in out
    masks('--object-size', '4')
    areas = [sum(a['area'] for a in load('new/labels.json')['annotations'])]
    masks('--object-size', '40')
    areas.append(sum(a['area'] for a in load('new/labels.json')['annotations']))
    assert areas[0] < areas[1]
    assert load('new/labels.json')['info']['object_size'] == 40


def test_a_table_of_background_clicks_and_no_points(folder, capsys):
    Path('clicks.csv').write_text('file,x,y,class\na.jpg,25,5,background\n')
    masks('--maps', 'maps', points='clicks.csv')
    assert load('new/labels.json')['annotations'] == []
    assert not read_index_png('maps/a.png').any()
    Path('none.csv').write_text('file,x,y,class\n')
    with pytest.raises(SystemExit, match='none.csv: expected a point, got none in 4 images'):
        masks('--list-images', points='none.csv')
    masks('--list-images', '--allow-empty', points='none.csv')
    assert len(load('new/labels.json')['images']) == 4


def test_refused_points_are_left_out_and_listed(folder, capsys):
    Path('points.csv').write_text(POINTS + 'a.jpg,10.5,20.5,cat\na.jpg,90,3,dog\n')
    masks('--skip-refused')
    assert len(load('new/labels.json')['annotations']) == 4
    assert '2 points left out' in capsys.readouterr().out


def test_two_clicks_in_one_pixel_of_different_classes(folder, capsys):
    Path('points.csv').write_text('file,x,y,class\na.jpg,10.5,20.5,cat\na.jpg,10.5,20.5,dog\n')
    masks()
    labels = load('new/labels.json')
    assert len(labels['annotations']) + len(labels['dropped_points']) == 2
    for entry in labels['dropped_points']:
        assert f'a.jpg: point {entry["point_id"]} (' in capsys.readouterr().out


def test_an_interrupted_command_goes_on(folder, monkeypatch, capsys):
    import mmp2seg.apis.point_masks as module

    def interrupted(path):
        if path.name == 'deep.png':
            raise KeyboardInterrupt
        return read(path)

    read = module.read_rgb
    monkeypatch.setattr(module, 'read_rgb', interrupted)
    with pytest.raises(SystemExit) as info:
        masks()
    assert info.value.code == 130
    assert 'Interrupted. The same command continues from here.' in capsys.readouterr().err
    assert not Path('new/labels.json').exists()
    monkeypatch.setattr(module, 'read_rgb', read)
    masks()
    assert '1 images were finished before' in capsys.readouterr().out
    assert [path.name for path in Path('new').iterdir()] == ['labels.json']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['gone', 'points.csv'], 'gone: no such folder'),
        (['images', 'gone.csv'], 'gone.csv'),
        (['images', 'none.csv'], 'expected rows below the header, got none'),
        (['images', 'twice.csv'], 'points cannot be used (--skip-refused leaves them out)'),
        (['images', 'outside.csv'], 'points cannot be used (--skip-refused leaves them out)'),
        (['images', 'broken.csv'], 'images/broken.png'),
        (['images', 'missing.csv'], 'missing.png'),
        (['images', 'points.csv', '--out', 'a.txt'], 'expected a .json file, got a.txt'),
        (['images', 'points.csv', '--out', 'points.csv'], 'another file than the points'),
        (['images', 'points.csv', '--maps', 'points.csv'], '--maps: expected a folder'),
        (['images', 'points.csv', '--maps', 'images'], '--maps: expected a folder outside'),
        (
            ['images', 'points.csv', '--draw', 'images/x', '--list-images'],
            '--draw: expected a folder outside of the images',
        ),
        (['images', 'points.csv', '--maps', 'x', '--draw', './x'], 'expected different folders'),
        (['images', 'points.csv', '--config', 'gone.py'], 'config not found: gone.py'),
        (['images', 'points.csv', '--config', 'other.py'], 'expected model to be a point'),
        (
            ['images', 'points.csv', '--cfg-options',
             'model.backbone.init_cfg.checkpoint=package://weights_not_there'],
            'pip install weights_not_there',
        ),
    ],
)  # fmt: skip
def test_mistakes_end_with_one_line(folder, capsys, arguments, message):
    Path('none.csv').write_text('file,x,y,class\n')
    Path('twice.csv').write_text('file,x,y,class\na.jpg,1,1,cat\na.jpg,1,1,cat\n')
    Path('outside.csv').write_text('file,x,y,class\na.jpg,50.5,1,cat\n')
    Path('broken.csv').write_text('file,x,y,class\nbroken.png,1,1,cat\n')
    Path('missing.csv').write_text('file,x,y,class\nmissing.png,1,1,cat\n')
    Path('images/broken.png').write_bytes(b'no image')
    Path('other.py').write_text('model = dict(type="mmdet.MaskRCNN")\n')
    before = Path('points.csv').read_text()
    with pytest.raises(SystemExit) as info:
        run_tool('masks', *arguments[:2], '--out', 'labels.json', *arguments[2:])
    assert message in info.value.code
    if 'points cannot' not in message:  # these are listed
        assert '\n' not in info.value.code
    assert info.value.code.startswith('masks.py: error: ')
    assert Path('points.csv').read_text() == before
    assert not Path('labels.json').exists()


@pytest.mark.parametrize('value', ['0', '-3', 'inf', 'nan', 'x'])
def test_object_sizes_are_positive(folder, capsys, value):
    with pytest.raises(SystemExit) as info:
        masks('--object-size', value)
    assert info.value.code == 2
    assert 'argument --object-size' in capsys.readouterr().err


def test_the_default_config_is_there():
    import importlib.util

    path = Path(__file__).resolve().parents[2] / 'tools' / 'masks.py'
    spec = importlib.util.spec_from_file_location('mmp2seg_masks', path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    assert all(path.is_file() for path in module.SEGMENTERS.values())


def test_a_class_head_is_trained_on_the_images_first(folder, capsys):
    config = Path(__file__).resolve().parents[2] / (
        'configs/point_segmenter/efficientnet-lite0_class-head.py'
    )
    arguments = ('images', 'points.csv', '--config', config, '--device', 'cpu')
    options = (*RANDOM, 'class_head_training.iterations=2')
    run_tool('masks', *arguments, '--out', 'labels.json', *options)
    labels = load('labels.json')
    assert len(labels['annotations']) == 4
    assert labels['info']['class_head_training']['iterations'] == 2
    assert 'training a class head on these images' in capsys.readouterr().out


def test_a_network_takes_part(folder):
    root = Path(__file__).resolve().parents[2]
    cfg = Config.fromfile(root / 'configs/p2seg/tiny_own_data.py')
    save_checkpoint(dict(state_dict=MODELS.build(cfg.model).state_dict()), 'network.pth')
    network = ('--network', root / 'configs/p2seg/tiny_own_data.py', 'network.pth')
    masks(*network)
    labels = load('new/labels.json')
    assert len(labels['annotations']) == 4
    assert labels['info']['network'][1] == 'network.pth'
    Path('one.csv').write_text('file,x,y,class\na.jpg,10.5,20.5,cat\n')
    with pytest.raises(SystemExit, match='--network: expected 1 classes as in one.csv, got 2'):
        masks(*network, points='one.csv')


def test_sam_without_its_package(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(SystemExit, match='SAM needs the package transformers: pip install'):
        run_tool('masks', 'images', 'points.csv', '--out', 'x.json', '--segmenter', 'sam')


def test_sam_by_a_random_network(folder, capsys):
    pytest.importorskip('transformers', reason='transformers (extra sam) is not installed')
    write_tiny_sam('sam')
    arguments = ('images', 'points.csv', '--segmenter', 'sam', '--weights', 'sam')
    run_tool('masks', *arguments, '--out', 'a.json', '--maps', 'maps', '--device', 'cpu')
    labels = load('a.json')
    assert labels['info']['method'] == 'mmp2seg.SamPointSegmenter'
    assert labels['info']['options']['weights'] == 'sam'
    assert len(labels['annotations']) == 4
    for annotation in labels['annotations']:
        assert len(annotation['candidates']) == 3 and annotation['candidate'] in (0, 1, 2)
        x, y = annotation['point']
        assert decode_rle(annotation['segmentation'])[int(y), int(x)]
    assert read_index_png('maps/a.png').shape == (40, 50)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (('--weights', 'x'), '--weights: expected a SamPointSegmenter'),
        (('--config', 'point_segmenter/none.py'), 'none.py'),
    ],
)
def test_options_that_do_not_fit(folder, options, message):
    with pytest.raises(SystemExit, match=message):
        run_tool('masks', 'images', 'points.csv', '--out', 'x.json', *options)
