import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

import mmp2seg.apis.own_data.folder as module
from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.device import adapt_config_to_cpu
from mmp2seg.apis.own_data.folder import write_own_data
from mmp2seg.registry import DATASETS, MODELS

FILES = ['README.txt', 'points.json', 'stage1.py', 'stage2.py']
NAMES = ['a.png', 'b.png', 'c.png', 'd.png', 'sub/e.png']


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five images with a square of 12 pixels, two points each, maps, and true masks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, 'find_spec', lambda name: object())  # the weights' package
    lines, images, annotations = ['file,x,y,class'], [], []
    for number, name in enumerate(NAMES):
        image = np.full((48, 64, 3), 60, np.uint8)
        image[8:20, 8:20] = 200
        semantic_map = np.zeros((48, 64), np.uint8)
        semantic_map[8:20, 8:20] = 2
        for root, array in (('photos', image), ('weak', semantic_map)):
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(path)
        lines += [f'{name},14.5,14.5,nut', f'{name},40.5,30.5,fig']
        images.append(dict(id=10 * number, file_name=name, height=48, width=64))
        square = [[8, 8, 20, 8, 20, 20, 8, 20]]
        annotations += [
            dict(id=number, image_id=10 * number, category_id=c, area=144, iscrowd=0,
                 bbox=[8, 8, 12, 12], segmentation=square)
            for c in (5, 9)
        ]  # fmt: skip
    Path('points.csv').write_text('\n'.join(lines) + '\n')
    categories = [dict(id=9, name='fruit'), dict(id=5, name='nut'), dict(id=7, name='fig')]
    truth = dict(images=images, annotations=annotations, categories=categories)
    Path('truth.json').write_text(json.dumps(truth))
    return tmp_path


def write(folder='my', **options):
    return write_own_data(folder, **{'images': 'photos', 'points': 'points.csv', **options})


def names_in(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def load(path):
    return json.loads(Path(path).read_text())


def build(registry, cfg, part):
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return registry.build(part)


def test_files_and_report(folder):
    (folder / 'photos' / 'more.png').write_bytes((folder / 'photos' / 'a.png').read_bytes())
    report = write()
    assert names_in('my') == FILES
    content = load('my/points.json')
    assert [image['file_name'] for image in content['images']] == NAMES
    assert [category['name'] for category in content['categories']] == ['fig', 'nut']
    text = str(report)
    assert '5 images (0 without points), 10 points' in text
    assert '1 images of photos are not in the points file and are left out' in text
    assert 'more.png' in text
    assert 'my/stage1/iter_500.pth' in text and '--maps my/maps' in text
    assert '--config' not in text  # a class head needs ten images
    assert 'OMP_NUM_THREADS=1' in text
    assert report.commands in Path('my/README.txt').read_text()
    assert str(folder) in Path('my/README.txt').read_text()
    listed = write('listed', list_images=True, classes=['nut', 'fig'], device='cuda')
    assert 'left out' not in str(listed) and 'OMP_NUM_THREADS' not in str(listed)
    assert len(load('listed/points.json')['images']) == 6
    assert Config.fromfile('listed/stage1.py').classes == ('nut', 'fig')


@pytest.mark.parametrize(
    'options',
    [
        dict(device='cpu'),
        pytest.param(dict(device='cuda'), id='cuda'),
        dict(device='cpu', from_scratch=True),
    ],
)
def test_datasets_and_models_of_both_stages(folder, options, monkeypatch, tmp_path_factory):
    write('deep/my', semantic_maps='weak', **options)
    # all of it is moved, and used from another folder
    moved = tmp_path_factory.mktemp('moved') / 'all'
    shutil.copytree(folder, moved)
    shutil.rmtree(folder / 'photos')
    monkeypatch.chdir(moved / 'weak')
    one = Config.fromfile('../deep/my/stage1.py')
    adapt_config_to_cpu(one)
    train = build(DATASETS, one, one.train_dataloader.dataset)
    assert len(train) == 5 and train.metainfo['classes'] == ('fig', 'nut')
    assert train[0]['inputs'].shape[0] == 3
    model = build(MODELS, one, one.model)
    assert model.semantic_head.num_classes == 2
    test = build(DATASETS, one, one.test_dataloader.dataset)
    assert [len(entry['data_samples'].gt_instances) for entry in test] == [2] * 5
    assert set(test[0]['data_samples'].gt_sem_seg.sem_seg.unique().tolist()) == {0, 2}

    labels = json.loads((moved / 'truth.json').read_text())
    labels['annotations'] = [a for a in labels['annotations'] if a['category_id'] == 5]
    # mmdet takes the order of the json, which is that of points.json
    labels['categories'] = load(moved / 'deep/my/points.json')['categories']
    for annotation in labels['annotations']:
        annotation['category_id'] = labels['categories'][1]['id']
    (moved / 'deep/my/pseudo_labels.json').write_text(json.dumps(labels))
    two = Config.fromfile('../deep/my/stage2.py')
    adapt_config_to_cpu(two)
    train = build(DATASETS, two, two.train_dataloader.dataset)
    assert len(train) == 5
    instances = train[0]['data_samples'].gt_instances
    assert instances.labels.tolist() in ([1], [])  # a crop may miss the square
    model = build(MODELS, two, two.model)
    assert model.roi_head.mask_head.num_classes == 2
    assert all(isinstance(p, torch.nn.Parameter) for p in model.parameters())


def test_true_masks_are_split_by_name(folder):
    report = write(val_annotations='truth.json')
    assert 'truth.json: 1 images to evaluate stage 2 on, 4 to train it on' in str(report)
    assert names_in('my') == sorted([*FILES, 'val.json', 'points_train.json'])
    points, train, val = (load(f'my/{n}.json') for n in ('points', 'points_train', 'val'))
    (name,) = (image['file_name'] for image in val['images'])
    assert len(points['images']) == 5
    assert {i['file_name'] for i in train['images']} == {*NAMES} - {name}
    assert len(train['annotations']) == 8
    # the classes of the points, with their ids; 'fruit' is none of them
    assert val['categories'] == points['categories'] == train['categories']
    ids = {category['name']: category['id'] for category in points['categories']}
    assert [a['category_id'] for a in val['annotations']] == [ids['nut']]
    assert {a['image_id'] for a in val['annotations']} == {val['images'][0]['id']}
    # further images do not move an image to the other side
    truth = json.loads(Path('truth.json').read_text())
    truth['images'].reverse()
    Path('truth.json').write_text(json.dumps(truth))
    write(val_annotations='truth.json', val_fraction=0.5, overwrite=True)
    more = {image['file_name'] for image in load('my/val.json')['images']}
    assert len(more) == 3 and name in more
    two = Config.fromfile('my/stage2.py')
    val_data = build(DATASETS, two, two.val_dataloader.dataset)
    assert len(val_data) == 3 and val_data.metainfo['classes'] == ('fig', 'nut')
    assert val_data.get_data_info(0)['instances'][0]['bbox_label'] == 1


def test_true_masks_of_images_without_points_are_the_validation_set(folder):
    table = Path('points.csv').read_text().splitlines()
    Path('points.csv').write_text('\n'.join(table[:7]) + '\n')
    report = write(val_annotations='truth.json')
    assert '2 images to evaluate stage 2 on, 3 to train it on' in str(report)
    val, train = load('my/val.json'), load('my/points_train.json')
    assert [image['file_name'] for image in val['images']] == NAMES[3:]
    assert train == load('my/points.json')


def test_nothing_is_replaced_unless_asked_for(folder):
    Path('my').mkdir()
    Path('my/stage2.py').write_text('mine')
    Path('my/notes.md').write_text('mine')
    with pytest.raises(CommandError, match=r'my: has stage2.py already \(--overwrite replaces'):
        write()
    assert names_in('my') == ['notes.md', 'stage2.py']
    write(overwrite=True)
    assert names_in('my') == sorted([*FILES, 'notes.md'])
    assert Path('my/stage2.py').read_text() != Path('my/notes.md').read_text() == 'mine'


def test_nothing_is_half_written(folder, monkeypatch):
    def fails(path):
        assert Path(path).is_file()
        raise OSError('disk is full')

    monkeypatch.setattr(module.Config, 'fromfile', fails)
    with pytest.raises(OSError, match='disk is full'):
        write()
    assert not Path('my').exists()
    Path('my').mkdir()
    for name in FILES:
        Path('my', name).write_text('before')
    with pytest.raises(OSError, match='disk is full'):
        write(overwrite=True)
    assert names_in('my') == FILES
    assert {Path('my', name).read_text() for name in FILES} == {'before'}


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(images='gone'), FileNotFoundError, 'gone: no such folder'),
        (dict(points='gone.csv'), FileNotFoundError, 'gone.csv'),
        (dict(points='missing.csv'), FileNotFoundError, 'missing.png'),
        (dict(points='outside.csv'), ValueError, 'points cannot be used'),
        (dict(points='clicks.csv'), ValueError, 'clicks.csv: expected points of objects, got none'),
        (dict(classes=['nut']), ValueError, 'points cannot be used'),
        (dict(semantic_maps='few'), FileNotFoundError, 'few: .* none for 4: b, c, d, sub/e'),
        (dict(semantic_maps='small'), ValueError, 'small/a.png: expected the size .* 64 x 48, got'),
        (dict(semantic_maps='gone'), FileNotFoundError, 'gone: no such folder'),
        (dict(semantic_maps='binary'), ValueError, 'binary: no pixel of a class, only 0 and 255'),
        (dict(semantic_maps='ids'), ValueError, r'ids/a\.png: expected 0 .*, got 3'),
        (dict(val_fraction=0.5), CommandError, '--val-fraction needs --val-annotations'),
        (dict(val_annotations='boxes.json'), ValueError, 'boxes.json: expected a segmentation'),
        (dict(val_annotations='classes.json'), ValueError, 'classes.json: .* lacks fig'),
        (dict(val_annotations='other.json'), ValueError, 'other.json: expected names of images'),
        (
            dict(val_annotations='truth.json', val_fraction=0.99),
            ValueError,
            'truth.json: .* got 5 images to validate and 0 points',
        ),
        (dict(folder="my's"), CommandError, 'without quotes'),
        (dict(folder='points.csv'), CommandError, 'expected a folder, got a file'),
    ],
)
def test_mistakes(folder, options, error, message):
    Path('missing.csv').write_text('file,x,y,class\nmissing.png,1,1,nut\n')
    Path('outside.csv').write_text('file,x,y,class\na.png,64.5,1,nut\n')
    Path('clicks.csv').write_text('file,x,y,class\na.png,4.5,1,background\n')
    for name, size in (('few', (64, 48)), ('small', (48, 64))):
        Path(name).mkdir()
        Image.new('L', size).save(f'{name}/a.png')
    for name, value in (('binary', 255), ('ids', 3)):
        for path in NAMES:
            Path(name, path).parent.mkdir(exist_ok=True, parents=True)
            Image.new('L', (64, 48), value).save(Path(name, path))
    for name in NAMES[1:]:
        Path('small', name).parent.mkdir(exist_ok=True)
        Image.new('L', (64, 48)).save(f'small/{name}')
    truth = json.loads(Path('truth.json').read_text())
    broken = dict(boxes=dict(truth, annotations=[
        {k: v for k, v in a.items() if k != 'segmentation'} for a in truth['annotations']
    ]))  # fmt: skip
    broken['classes'] = dict(truth, categories=truth['categories'][:2])
    others = [dict(image, file_name=f'z{image["id"]}') for image in truth['images']]
    broken['other'] = dict(truth, images=others)
    for name, content in broken.items():
        Path(f'{name}.json').write_text(json.dumps(content))
    with pytest.raises(error, match=message):
        write(**options)
    assert not Path('my').exists()


def test_the_points_file_is_not_replaced(folder):
    write()
    before = Path('my/points.json').read_text()
    with pytest.raises(CommandError, match='my/points.json: would be overwritten'):
        write(points='my/points.json', overwrite=True)
    assert Path('my/points.json').read_text() == before


def test_missing_weights(folder, monkeypatch):
    monkeypatch.setattr(module, 'find_spec', lambda name: None)
    with pytest.raises(CommandError, match='pip install .*; without it, only --semantic-maps'):
        write()
    with pytest.raises(CommandError, match='pip install .*, or train worse .* --from-scratch'):
        write(semantic_maps='weak')
    write(semantic_maps='weak', from_scratch=True)
    assert 'p2seg/tiny_own_data.py' in Path('my/stage1.py').read_text()
    write('gpu', semantic_maps='weak', device='cuda')  # other weights


def test_commands_start_with_the_program_that_is_there(folder, monkeypatch):
    home = folder / 'clone'
    (home / 'bin').mkdir(parents=True)
    monkeypatch.setattr(module.sys, 'executable', str(home / 'bin' / 'python'))
    monkeypatch.setattr(module, 'find_home', lambda package: home)
    monkeypatch.setenv('PATH', str(folder))

    def words():
        return write(overwrite=True).commands.splitlines()[2].split()[:2]

    # not installed: a tool of the checkout
    assert words() == [str(home / 'bin' / 'python'), 'clone/tools/masks.py']
    (home / 'bin' / 'mmp2seg').touch(mode=0o755)
    assert words() == ['clone/bin/mmp2seg', 'masks']
    monkeypatch.setenv('PATH', str(home / 'bin'))
    assert words() == ['mmp2seg', 'masks']
