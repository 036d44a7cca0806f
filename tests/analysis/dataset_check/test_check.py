import json

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmp2seg.analysis.dataset_check.check import check_dataset
from mmp2seg.apis.arguments import CommandError
from mmp2seg.testing import tiny_p2seg_config, write_tiny_voc

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations', allow_outside=True),
    dict(type='Resize', scale=(24, 20)),
    dict(type='mmp2seg.PackPointInputs'),
]


@pytest.fixture
def cfg(tmp_path):
    data = dict(type='mmp2seg.PointVOCDataset', **write_tiny_voc(tmp_path))
    repeated = dict(type='RepeatDataset', times=2, dataset=dict(data, pipeline=[]))
    return Config(
        dict(
            default_scope='mmdet',
            model=tiny_p2seg_config(),
            train_dataloader=dict(dataset=repeated),
            test_dataloader=dict(dataset=dict(data, pipeline=PIPELINE, indices=1)),
        )
    )


def test_a_sound_data_set(cfg):
    report = check_dataset(cfg)
    assert report.num_problems == 0 and report.problems == {}
    counts = report.counts
    assert (counts['images'], counts['empty'], counts['points']) == (3, 1, 4)
    assert [counts['points_per_region', n] for n in ('1', '2')] == [2, 1]
    assert counts['regions'] == 3 and counts['regions_without_points'] == 0
    assert check_dataset(cfg, split='test').counts['images'] == 1


def test_the_page_of_one_image_counts_it(cfg):
    assert '1 image, 0 without points; 1 map' in str(check_dataset(cfg, split='test'))


def test_everything_that_is_wrong_is_collected(cfg, tmp_path):
    (tmp_path / 'Center_points' / 'img_1.txt').write_text('8 8 0\n8 8 9\n100 3 0\n14 25 1\n')
    (tmp_path / 'JPEGImages' / 'img_2.jpg').unlink()
    (tmp_path / 'WSSS_maps' / 'img_2.png').write_bytes(b'no image')
    Image.new('L', (7, 9)).save(tmp_path / 'WSSS_maps' / 'img_3.png')
    with open(tmp_path / 'ImageSets' / 'train.txt', 'a') as file:
        file.write('img_3\n')
    report = check_dataset(cfg)
    assert {kind: len(lines) for kind, lines in report.problems.items()} == dict(
        missing=1, unreadable=1, points=1, sizes=1, outside=1, duplicate_images=1
    )
    for lines in report.problems.values():
        assert all(line.startswith(f'{tmp_path}/') for line in lines)


def test_follows_the_labeler_and_the_loading_of_the_config(cfg, tmp_path):
    (tmp_path / 'Center_points' / 'img_2.txt').write_text('20 30 1\n')  # 6.5 px below its block
    assert check_dataset(cfg).counts['lost'] == 0
    cfg.model.labeler.update(max_snap_distance=5, min_region_area=101)
    report = check_dataset(cfg)
    assert (report.max_snap_distance, report.min_region_area) == (5, 101)
    assert (report.counts['lost'], report.counts['regions_small']) == (2, 1)
    path = tmp_path / 'WSSS_maps' / 'img_1.png'
    Image.open(path).resize((24, 20)).save(path)
    assert list(check_dataset(cfg).problems) == ['sizes']
    cfg.test_dataloader.dataset.pipeline[1].resize_seg_map = True
    assert check_dataset(cfg).problems == {}
    cfg.test_dataloader.dataset.pipeline[1].backend_args = dict(backend='unknown')
    assert len(check_dataset(cfg).problems['unreadable']) == 3  # the maps
    cfg.pop('model')
    assert check_dataset(cfg).max_snap_distance == 8


def test_binary_masks_of_0_and_255_have_no_class(cfg, tmp_path):
    maps = sorted((tmp_path / 'WSSS_maps').glob('*.png'))
    for path in maps:
        binary = np.where(np.array(Image.open(path)) > 0, 255, 0).astype(np.uint8)
        Image.fromarray(binary).save(path)
    (line,) = check_dataset(cfg).problems['map_values']
    assert line.startswith(f'{tmp_path}/WSSS_maps: ') and '--map-values 255=1' in line
    Image.new('L', Image.open(maps[0]).size, 1).save(maps[0])  # one map with a class
    assert 'map_values' not in check_dataset(cfg).problems


def test_same_content(cfg, tmp_path):
    folder = tmp_path / 'JPEGImages'
    (folder / 'img_3.jpg').write_bytes((folder / 'img_1.jpg').read_bytes())
    assert check_dataset(cfg).problems == {}
    with open(tmp_path / 'ImageSets' / 'train.txt', 'a') as file:
        file.write('img_2\n')  # two entries of one file are not two files with the same content
    problems = check_dataset(cfg, with_hash=True).problems
    assert problems['same_content'] == [f'{folder}/img_1.jpg = {folder}/img_3.jpg']


def test_image_classes(cfg, tmp_path):
    path = tmp_path / 'train_cls.txt'
    path.write_text('img_1 0 1\nimg_2 1\nimg_3\n')
    assert check_dataset(cfg, image_classes=str(path)).problems == {}
    path.write_text('img_1 0\nimg_2 0 1\n')
    assert check_dataset(cfg, image_classes=str(path)).problems == dict(
        image_classes=[
            f'{path}: img_1: points without the class: block',
            f'{path}: img_2: the class without points: bar',
        ]
    )
    path.write_text('img_1 7\n')
    with pytest.raises(ValueError, match=f'{path}:1: expected a class'):
        check_dataset(cfg, image_classes=str(path))


def test_classes_that_do_not_go_with_the_maps(cfg, tmp_path):
    folder = tmp_path / 'Center_points'
    (folder / 'img_1.txt').write_text('8 8 1\n23 8 1\n14 25 0\n')
    problems = check_dataset(cfg).problems
    assert list(problems) == ['classes']
    assert '3 of 4 points have no region' in problems['classes'][0]


def test_no_points_at_all(cfg, tmp_path):
    for path in (tmp_path / 'Center_points').iterdir():
        path.write_text('')
    line = f'{tmp_path}/ImageSets/train.txt: expected points, got none'
    assert check_dataset(cfg).problems == dict(points=[line])


def test_coco_sizes(cfg, tmp_path):
    content = dict(
        images=[dict(id=1, file_name='img_1.jpg', height=48, width=40)],
        categories=[dict(id=1, name='bar'), dict(id=2, name='block')],
        annotations=[dict(id=3, image_id=1, category_id=1, point=[8.5, 8.5])],
    )
    (tmp_path / 'points.json').write_text(json.dumps(content))
    cfg.train_dataloader.dataset = dict(
        type='mmp2seg.PointCocoDataset',
        data_root=str(tmp_path),
        ann_file='points.json',
        data_prefix=dict(img='JPEGImages', seg_map='WSSS_maps'),
    )
    problems = check_dataset(cfg).problems
    path = tmp_path / 'JPEGImages' / 'img_1.jpg'
    line = f'{path}: 48 x 40 pixels, {tmp_path}/points.json says 40 x 48'
    assert problems == dict(sizes=[line])


def test_run_may_be_given(cfg):
    seen = []

    def run(check, entries):
        seen.append(len(entries))
        return list(map(check, entries))

    assert check_dataset(cfg, run=run).counts['images'] == 3
    assert seen == [3]


def test_what_cannot_be_checked(cfg):
    cfg.train_dataloader.dataset = dict(type='CocoDataset')
    with pytest.raises(ValueError, match='expected a point dataset'):
        check_dataset(cfg)
    cfg.pop('train_dataloader')
    with pytest.raises(CommandError, match='no train_dataloader'):
        check_dataset(cfg)
