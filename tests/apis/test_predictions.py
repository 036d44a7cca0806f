import json

import numpy as np
import pytest
from mmcv import imread
from mmengine.config import Config
from PIL import Image

from mmp2seg.apis import predictions as apis
from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.pseudo_labels import set_label_run
from mmp2seg.codecs import DROP_REASONS
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.rle import encode_rle
from mmp2seg.registry import DATASETS
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(type='mmp2seg.PackPointInputs'),
]


@pytest.fixture
def folder(tmp_path):
    """Images, maps and ``points.json``, with a point outside of its image."""
    write_tiny_voc(tmp_path)
    places = [(1, 2, [8.5, 8.5]), (1, 2, [90, 3]), (1, 1, [14.5, 25.5]), (2, 1, [20.5, 12.5])]
    content = dict(
        images=[
            dict(id=number, file_name=f'img_{number}.jpg', height=40, width=48)
            for number in (1, 2, 3)
        ],
        # another order than the config's: labels go by name
        categories=[dict(id=1, name='block'), dict(id=2, name='bar')],
        annotations=[
            dict(id=index, image_id=image, category_id=category, point=point)
            for index, (image, category, point) in enumerate(places, start=1)
        ],
    )
    (tmp_path / 'points.json').write_text(json.dumps(content))
    return tmp_path


@pytest.fixture
def cfg():
    dataset = dict(
        type='mmp2seg.PointVOCDataset',
        data_root='gone',
        ann_file='gone.txt',
        metainfo=dict(classes=TINY_CLASSES),
        pipeline=PIPELINE,
    )
    return Config(
        dict(
            default_scope='mmdet',
            model=tiny_p2seg_config(test_cfg=dict(use_weak_map=True, network_weight=0.7)),
            test_dataloader=dict(batch_size=4, dataset=dataset),
            test_evaluator=[
                dict(type='mmp2seg.PseudoLabelWriter', outfile='of_config.json', ann_file='gone')
            ],
        )
    )


def files(folder, *, maps=True):
    paths = dict(images=str(folder / 'JPEGImages'), points=str(folder / 'points.json'))
    return {**paths, 'semantic_maps': str(folder / 'WSSS_maps')} if maps else paths


def edit(folder, change):
    path = folder / 'points.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize('maps', [True, False])
def test_the_test_reads_these_files(cfg, folder, maps):
    apis.set_prediction_data(cfg, **files(folder, maps=maps))
    set_label_run(cfg, split='test', outfile='x.json')
    assert cfg.model.test_cfg == dict(use_weak_map=maps, network_weight=0.7)
    assert cfg.test_dataloader.batch_size == 1
    # not the writer of the config, whose images are others
    assert cfg.test_evaluator.ann_file == str(folder / 'points.json')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert len(dataset) == 3
    sample = dataset[0]['data_samples']
    assert ('gt_sem_seg' in sample) == maps
    assert sample.gt_instances.labels.tolist() == [0, 0, 1]  # the config's numbers
    assert sample.gt_instances.point_ids.tolist() == [1, 2, 3]  # also the one outside


def test_maps_for_a_model_that_reads_none(cfg, folder):
    cfg.model.test_cfg.use_weak_map = False
    with pytest.raises(CommandError, match=r'--cfg-options model.test_cfg.use_weak_map=True'):
        apis.set_prediction_data(cfg, **files(folder))
    apis.set_prediction_data(cfg, **files(folder, maps=False))


def test_a_config_of_stage_2(cfg, folder):
    cfg.model = dict(type='MaskRCNN')
    with pytest.raises(CommandError, match='expected a config of stage 1'):
        apis.set_prediction_data(cfg, **files(folder))


def test_a_pipeline_without_points(cfg, folder):
    cfg.test_dataloader.dataset.pipeline = PIPELINE[:1]
    with pytest.raises(CommandError, match='expected LoadPointAnnotations in the test pipeline'):
        apis.set_prediction_data(cfg, **files(folder))


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['bar'], r'the config has bar, block; not in the json: block$'),
        (['bar', 'block', 'cat'], r'the config has bar, block; not in the config: cat$'),
        (['bar', 'Block'], r'not in the json: block; not in the config: Block$'),
    ],
)
def test_other_classes(cfg, folder, names, message):
    def change(content):
        content['categories'] = [dict(id=k, name=name) for k, name in enumerate(names, start=1)]
        content['annotations'] = []

    edit(folder, change)
    with pytest.raises(ValueError, match=rf'points\.json: expected categories .*{message}'):
        apis.set_prediction_data(cfg, **files(folder))


def test_classes_are_those_of_the_data_set_or_of_the_json(cfg, folder, tmp_path):
    cfg.test_dataloader.dataset.pop('metainfo')
    with pytest.raises(ValueError, match="expected 2 classes, as the model has, got .*'aeroplane'"):
        apis.set_prediction_data(cfg, **files(folder))  # VOC's own classes
    cfg.test_dataloader.dataset.type = 'mmp2seg.PointCocoDataset'
    apis.set_prediction_data(cfg, **files(folder))
    assert cfg.test_dataloader.dataset.metainfo.classes == ['block', 'bar']
    (tmp_path / 'names.txt').write_text('bar\nblock\n')
    cfg.test_dataloader.dataset.metainfo = dict(classes=str(tmp_path / 'names.txt'))
    apis.set_prediction_data(cfg, **files(folder))
    assert cfg.test_dataloader.dataset.metainfo.classes == ['bar', 'block']


def test_missing_files(cfg, folder):
    (folder / 'WSSS_maps' / 'img_3.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'WSSS_maps: 1 of 3 maps are missing: img_3.png'):
        apis.set_prediction_data(cfg, **files(folder))
    (folder / 'JPEGImages' / 'img_1.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 3 images are missing: img_1.jpg'):
        apis.set_prediction_data(cfg, **files(folder))
    (folder / 'points.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'points\.json'):
        apis.set_prediction_data(cfg, **files(folder))


@pytest.mark.parametrize('name', ['../img_1.jpg', '/img_1.jpg'])
def test_images_elsewhere(cfg, folder, name):
    edit(folder, lambda content: content['images'][0].update(file_name=name))
    with pytest.raises(ValueError, match=f'JPEGImages: expected images below it, got .{name}'):
        apis.set_prediction_data(cfg, **files(folder))


def test_a_broken_json(cfg, folder):
    edit(folder, lambda content: content['annotations'][0].update(image_id=9))
    with pytest.raises(ValueError, match=r'points\.json: annotation 1: unknown image_id 9'):
        apis.set_prediction_data(cfg, **files(folder))


@pytest.fixture
def labels(folder):
    mask = np.zeros((40, 48), dtype=bool)
    mask[4:12, 4:28] = True
    content = json.loads((folder / 'points.json').read_text())
    first, second, *_ = content['annotations']
    return dict(
        images=content['images'],
        categories=content['categories'],
        annotations=[dict(first, segmentation=encode_rle(mask))],
        dropped_points=[dict(second, point=[30.5, 20.25], point_id=2, reason='no_region')],
    )


def test_dropped_points_are_named_with_their_reason(labels):
    assert apis.describe_dropped(labels) == [
        'img_1.jpg: point 2 (bar, x 30.5, y 20.25): no_region, the semantic map has no pixels of '
        'its class around it'
    ]
    for reason in DROP_REASONS:
        labels['dropped_points'][0]['reason'] = reason
        assert f': {reason}, ' in apis.describe_dropped(labels)[0]


def test_pictures_show_masks_and_both_kinds_of_points(labels, folder):
    seen = []
    images = folder / 'JPEGImages'
    (images / 'sub').mkdir()
    (images / 'img_3.jpg').rename(images / 'sub' / 'img_1.jpg')
    labels['images'][2]['file_name'] = 'sub/img_1.jpg'
    number = apis.draw_labels(
        labels, str(images), str(folder / 'new'), track=lambda x: seen.extend(x) or x
    )
    assert number == len(seen) == 3
    names = {path.relative_to(folder / 'new').as_posix() for path in folder.glob('new/**/*.png')}
    assert names == {'img_1.jpg.png', 'img_2.jpg.png', 'sub/img_1.jpg.png'}
    pictures = [folder / 'new' / f'img_{k}.jpg.png' for k in (1, 2)]
    changed = [(imread(path) != imread(images / path.stem)).any(axis=-1) for path in pictures]
    assert changed[0][5, 26] and changed[0][20, 30]  # the mask, and the cross of the other point
    assert not changed[0][35, 5] and not changed[1].any()


SEGMENTER = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)),
    long_side=64,
)


def test_maps_of_the_point_segmenter_have_the_classes_of_the_config(folder, cfg):
    cfg.point_segmenter = SEGMENTER
    before = cfg.to_dict()
    images, points = str(folder / 'JPEGImages'), str(folder / 'points.json')
    maps, tracked = folder / 'new' / 'maps', []

    def track(items):
        tracked.extend(items)
        return items

    assert apis.write_point_maps(cfg, images=images, points=points, folder=str(maps), track=track)
    assert cfg.to_dict() == before and len(tracked) == 3
    found = {path.stem: read_index_png(path) for path in maps.iterdir()}
    assert sorted(found) == ['img_1', 'img_2', 'img_3']
    assert found['img_1'].shape == (40, 48) and not found['img_3'].any()
    # the json has block before bar, the config bar before block
    assert TINY_CLASSES == ('bar', 'block')
    assert np.isin(found['img_2'], (0, 2, 255)).all() and (found['img_2'] == 2).any()
    apis.set_prediction_data(cfg, images=images, points=points, semantic_maps=str(maps))


def test_no_maps_for_a_model_that_reads_none_or_without_a_segmenter(folder, cfg):
    options = dict(images='gone', points='gone', folder=str(folder / 'maps'))
    assert not apis.write_point_maps(cfg, **options)
    cfg.point_segmenter = SEGMENTER
    cfg.model.test_cfg.use_weak_map = False
    assert not apis.write_point_maps(cfg, **options)
    assert not (folder / 'maps').exists()


def test_maps_for_images_that_are_missing(folder, cfg):
    cfg.point_segmenter = SEGMENTER
    options = dict(points=str(folder / 'points.json'), folder=str(folder / 'maps'))
    with pytest.raises(FileNotFoundError, match='3 of 3 images are missing'):
        apis.write_point_maps(cfg, images=str(folder / 'ImageSets'), **options)


def test_sheet(folder):
    mask = np.zeros((40, 48), bool)
    mask[4:20, 4:20] = True
    entry = dict(image_id=1, category_id=1, point_id=1, point=[9.5, 9.5])
    labels = dict(
        images=[dict(id=1, file_name='img_1.jpg'), dict(id=2, file_name='img_2.jpg')],
        categories=[dict(id=1, name='a')],
        annotations=[dict(entry, segmentation=encode_rle(mask))],
        dropped_points=[dict(entry, point_id=2, point=[30, 30], reason='no_pixels')],
    )
    sheet = apis.label_sheet(labels, str(folder / 'JPEGImages'), ['img_1.jpg', 'img_2.jpg'])
    one = apis.label_sheet(labels, str(folder / 'JPEGImages'), ['img_1.jpg'], height=220)
    assert np.array_equal(sheet[: len(one), : one.shape[1]], one)
    assert len(sheet) == 2 * len(one) + 8


def test_images_of_another_size_are_named_before_the_network_runs(cfg, folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (48, 40)).save(folder / 'JPEGImages/img_2.jpg', exif=exif)
    options = dict(images=str(folder / 'JPEGImages'), points=str(folder / 'points.json'))
    message = r'img_2\.jpg: expected 48 x 40 pixels .* as in .*points\.json, got 40 x 48: .* EXIF'
    with pytest.raises(ValueError, match=message):
        apis.set_prediction_data(cfg, **options)


def test_ids_that_a_network_cannot_use_are_named(cfg, folder):
    path = folder / 'points.json'
    content = json.loads(path.read_text())
    content['annotations'][1]['id'] = 'a'
    path.write_text(json.dumps(content))
    options = dict(images=str(folder / 'JPEGImages'), points=str(path))
    message = r"points\.json: annotations\[1\]: expected id to be int, got 'a'"
    with pytest.raises(ValueError, match=message):
        apis.set_prediction_data(cfg, **options)
