import copy
import json
import os

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmp2seg.apis import pseudo_labels as apis
from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.runner import enable_tta
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc

LOAD_IMAGE = dict(type='LoadImageFromFile')
TEST_PIPELINE = [
    LOAD_IMAGE,
    dict(type='mmp2seg.LoadPointAnnotations', with_seg=False, allow_outside=True),
    dict(type='Resize', scale=(24, 20)),
    dict(type='mmp2seg.PackPointInputs'),
]
WRITER = dict(type='mmp2seg.PseudoLabelWriter', outfile='of_config.json', prefix='mine')


@pytest.fixture
def cfg(tmp_path):
    data = dict(type='mmp2seg.PointVOCDataset', **write_tiny_voc(tmp_path))
    repeated = dict(type='RepeatDataset', times=2, dataset=dict(data, pipeline=[LOAD_IMAGE]))
    return Config(
        dict(
            default_scope='mmdet',
            model=tiny_p2seg_config(),
            train_dataloader=dict(dataset=repeated),
            test_dataloader=dict(dataset=dict(data, pipeline=TEST_PIPELINE, indices=1)),
            test_evaluator=[dict(type='Other'), WRITER],
        )
    )


def test_require_writable_json(tmp_path):
    path = str(tmp_path / 'new' / 'labels.json')
    assert apis.require_writable_json(path) == path
    assert os.listdir(tmp_path) == ['new']
    (tmp_path / 'file').touch()
    (tmp_path / 'folder.json').mkdir()
    for name, message in (
        ('labels.txt', 'expected a .json file, got .*labels.txt'),
        ('file/labels.json', 'file: '),
        ('folder.json', 'cannot be written: .*folder.json'),
    ):
        with pytest.raises(CommandError, match=f'--out: .*{message}'):
            apis.require_writable_json(str(tmp_path / name))


def test_training_data_are_read_like_test_data(cfg):
    dataset = apis.label_dataset(cfg, 'train')
    assert dataset.type == 'mmp2seg.PointVOCDataset'
    assert dataset.pipeline == cfg.test_dataloader.dataset.pipeline
    assert dataset.test_mode
    assert 'indices' not in dataset
    assert cfg.train_dataloader.dataset.dataset.pipeline == [LOAD_IMAGE]  # the config is as it was
    assert apis.label_dataset(cfg, 'test').indices == 1


def test_a_config_without_the_split(cfg):
    cfg.pop('train_dataloader')
    with pytest.raises(CommandError, match='the config has no train_dataloader'):
        apis.label_dataset(cfg, 'train')


def test_the_writer_is_the_configs_own_for_its_own_test_set_alone(cfg):
    own = apis.label_writer(cfg, 'test', 'x.json')
    assert own == {**WRITER, 'outfile': 'x.json'}
    new = apis.label_writer(cfg, 'train', 'x.json')
    assert new == dict(type='mmp2seg.PseudoLabelWriter', outfile='x.json', ann_file=None)
    cfg.train_dataloader.dataset.dataset.update(data_root='root', ann_file='points.json')
    assert apis.label_writer(cfg, 'train', 'x.json')['ann_file'] == os.path.join(
        'root', 'points.json'
    )


def test_set_label_run(cfg):
    apis.set_label_run(cfg, split='train', outfile='x.json', grouping='nearest')
    assert cfg.test_evaluator.outfile == 'x.json'  # the truth is not asked for
    assert cfg.test_dataloader.dataset == apis.label_dataset(cfg, 'train')
    assert cfg.test_cfg == dict(type='mmp2seg.LabelLoop', fp16=False)
    assert cfg.test_dataloader.sampler.type == 'mmp2seg.UnfinishedSampler'
    assert cfg.model.test_cfg.decoder.grouping == 'nearest'


def test_a_label_run_goes_on_only_with_the_same_network_and_data(cfg, tmp_path):
    checkpoint = tmp_path / 'a.pth'

    def settings(*, weights=b'a', split='test', rename=False, **model):
        checkpoint.write_bytes(weights)
        changed = copy.deepcopy(cfg)
        changed.load_from = str(checkpoint)
        changed.model.update(model)
        if rename:
            changed.load_from = str(checkpoint.rename(tmp_path / 'b.pth'))
        apis.set_label_run(changed, split=split, outfile='x.json')
        return changed.test_dataloader.sampler.settings

    first = settings()
    assert json.loads(json.dumps(first)) == first
    assert settings() == settings(rename=True) == first
    others = [settings(weights=b'b'), settings(split='train'), settings(test_cfg=dict(rounds=3))]
    assert all(other != first for other in others)


def test_grouping_reaches_the_detector_inside_test_time_augmentation(cfg):
    cfg.tta_model, cfg.tta_pipeline = dict(type='mmp2seg.P2SegTTA'), TEST_PIPELINE
    enable_tta(cfg)
    cfg.model.module.test_cfg = dict(rounds=1, decoder=dict(anchor='point'))
    apis.set_label_run(cfg, split='test', outfile='x.json', grouping='nearest')
    decoder = dict(anchor='point', grouping='nearest')
    # the map of the network alone is divided
    expected = dict(rounds=1, decoder=decoder, use_weak_map=False)
    assert cfg.model.module.test_cfg == expected
    apis.set_label_run(cfg, split='test', outfile='x.json', grouping='offset')
    assert cfg.model.module.test_cfg.decoder.grouping == 'offset'


def test_baselines_of_a_config_with_options_where_they_were_before(cfg, tmp_path):
    cfg.model.labeler.update(landing_weight=1.0, grouping='offset')
    outfile = str(tmp_path / 'labels.json')
    with pytest.warns(DeprecationWarning):
        apis.write_baseline_labels(cfg, rule='nearest', split='train', outfile=outfile)
    assert load(outfile)['annotations']


def test_a_repeated_test_set_is_read_once(cfg):
    pipeline = cfg.test_dataloader.dataset.pipeline
    cfg.test_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.test_dataloader.dataset
    )
    assert apis.label_dataset(cfg, 'test').pipeline == pipeline
    assert apis.label_dataset(cfg, 'train').pipeline == pipeline


def test_a_config_of_stage_2_has_no_detector_of_stage_1(cfg):
    cfg.model = dict(type='MaskRCNN')
    with pytest.raises(CommandError, match='expected a config of stage 1'):
        apis.stage1_model(cfg)


def test_grouping_is_left_alone_unless_asked_for(cfg):
    apis.set_label_run(cfg, split='test', outfile='x.json')
    assert 'test_cfg' not in cfg.model


@pytest.mark.parametrize('rule', ['component', 'nearest'])
def test_baseline_labels(cfg, tmp_path, rule):
    points = tmp_path / 'Center_points' / 'img_2.txt'
    points.write_text(points.read_text() + '20 12 1\n100 3 0\n')
    outfile = str(tmp_path / 'labels.json')
    figures = apis.write_baseline_labels(cfg, rule=rule, split='train', outfile=outfile)
    content = load(outfile)
    assert [image['file_name'] for image in content['images']] == [
        'img_1.jpg',
        'img_2.jpg',
        'img_3.jpg',
    ]
    assert [category['name'] for category in content['categories']] == list(TINY_CLASSES)
    # the bar of 8 x 24 pixels has two points, at equal distance from its ends
    areas = [ann['area'] for ann in content['annotations']]
    assert areas == ([192, 192] if rule == 'component' else [96, 96]) + [100, 16 * 22]
    assert {ann['score'] for ann in content['annotations']} == {1.0}
    assert content['annotations'][0]['point'] == [8.5, 8.5]
    reasons = [point['reason'] for point in content['dropped_points']]
    assert reasons == ['duplicate', 'outside_image']
    assert apis.describe_labels(outfile, figures) == (
        f'{outfile}: 4 pseudo labels in 3 images\n'
        'points without a pseudo label: 2\n'
        '  duplicate: 1\n'
        '  outside_image: 1\n'
        '  no_region: 0\n'
        '  no_pixels: 0'
    )
    nothing = {**figures, 'pseudo_labels/num_instances': 0}
    assert 'Stage 2 cannot train on this file' in apis.describe_labels(outfile, nothing)


def test_baseline_follows_the_models_labeler(cfg, tmp_path):
    cfg.model.labeler.update(min_region_area=101, conflict='drop')
    outfile = str(tmp_path / 'labels.json')
    apis.write_baseline_labels(cfg, rule='nearest', split='train', outfile=outfile)
    content = load(outfile)
    assert [ann['area'] for ann in content['annotations']] == [96, 96, 16 * 22]
    assert [point['reason'] for point in content['dropped_points']] == ['no_region']


def test_baseline_of_coco_points_keeps_images_and_categories(cfg, tmp_path):
    image = {'id': 70, 'file_name': 'a.png', 'height': 4, 'width': 6}
    points = {
        'images': [image],
        'categories': [{'id': 9, 'name': 'cat'}, {'id': 4, 'name': 'dog'}],
        'annotations': [{'id': 5, 'image_id': 70, 'category_id': 9, 'point': [1.5, 1.5]}],
    }
    (tmp_path / 'points.json').write_text(json.dumps(points))
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / 'a.png')
    (tmp_path / 'maps').mkdir()
    semantic_map = np.zeros((4, 6), np.uint8)
    semantic_map[:2, :3] = 2  # classes are in the order of the ids: dog, cat
    Image.fromarray(semantic_map).save(tmp_path / 'maps' / 'a.png')
    cfg.train_dataloader.dataset = dict(
        type='mmp2seg.PointCocoDataset',
        data_root=str(tmp_path),
        ann_file='points.json',
        data_prefix=dict(img='', seg_map='maps'),
    )
    outfile = str(tmp_path / 'labels.json')
    apis.write_baseline_labels(cfg, rule='component', split='train', outfile=outfile)
    content = load(outfile)
    assert content['images'] == [image]
    assert content['categories'] == points['categories']
    (annotation,) = content['annotations']
    assert (annotation['category_id'], annotation['point_id'], annotation['area']) == (9, 5, 6)
