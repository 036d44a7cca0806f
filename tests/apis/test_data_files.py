import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmp2seg.apis import data_files
from mmp2seg.ops.rle import encode_rle

SIZE = dict(height=6, width=8)
MASK = np.zeros((6, 8), bool)
MASK[1:3, 2:5] = True


@pytest.fixture
def content():
    return dict(
        images=[dict(id=1, file_name='a.png', **SIZE), dict(id=2, file_name='b.jpg', **SIZE)],
        categories=[dict(id=1, name='cat')],
        annotations=[
            dict(
                id=number,
                image_id=number,
                category_id=1,
                bbox=[2.0, 1.0, 3.0, 2.0],
                area=6.0,
                segmentation=encode_rle(MASK),
                point=[3.5, 1.5],
            )
            for number in (1, 2)
        ],
    )


@pytest.fixture
def check(tmp_path, content):
    """Check a config whose data are the content as it is now, after a change to an annotation."""
    (tmp_path / 'images').mkdir()
    Image.new('RGB', (8, 6)).save(tmp_path / 'images/a.png')
    Image.new('RGB', (8, 6)).save(tmp_path / 'images/b.jpg')

    def run(kind='CocoDataset', *, phases=('train',), root=True, text=None, **changes):
        content['annotations'][1].update(changes)
        path = tmp_path / 'labels.json'
        path.write_text(json.dumps(content) if text is None else text)
        dataset = dict(
            type=kind,
            data_root=f'{tmp_path}/' if root else None,
            ann_file='labels.json' if root else str(path),
            data_prefix=dict(img='images' if root else str(tmp_path / 'images')),
        )
        cfg = Config(
            dict(
                default_scope='mmdet',
                train_dataloader=dict(dataset=dict(type='RepeatDataset', times=2, dataset=dataset)),
                val_evaluator=[dict(type='CocoMetric', ann_file=str(path), metric='segm')],
                test_evaluator=dict(type='CocoMetric', metric='bbox'),
            )
        )
        data_files.check_data_files(cfg, phases)

    return run


KINDS = ['CocoDataset', 'mmdet.CocoDataset', 'mmp2seg.PseudoLabelCocoDataset']


@pytest.mark.parametrize('kind', [*KINDS, 'mmp2seg.PointCocoDataset'])
@pytest.mark.parametrize('root', [True, False])
def test_sound_files_pass(check, kind, root):
    check(kind, phases=('train', 'val', 'test'), root=root)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (
            dict(segmentation=dict(size=[6, 8], counts='garbage')),
            r'labels\.json: image 2 \(b\.jpg\): annotation 2: expected runs that make up the 48',
        ),
        (dict(segmentation=dict(size=[6, 9], counts='f0')), r'annotation 2: expected a mask of'),
        (dict(segmentation=[[1, 2, '3', 4, 5, 6]]), 'annotation 2: expected polygons of finite'),
        (dict(bbox=[1, 2, '3', 4]), r'annotations\[1\]: expected a bbox of four numbers, got'),
        (dict(bbox=[1, 2, 10**19, 4]), r'annotations\[1\]: expected a bbox of four numbers, got'),
        (dict(id=1), r'annotations\[1\]: expected an id of its own, got 1 again'),
        (dict(bbox=None), r'annotations\[1\]: expected a bbox of four numbers, got None'),
        (dict(image_id=[2]), r'annotations\[1\]: expected image_id to be int or str, got \[2\]'),
        (dict(area='6'), r"annotations\[1\]: expected area to be a number, got '6'"),
        (
            dict(text='{"images": [], "categories": [], "annotations": 7}'),
            "expected a list 'annotations', got 7",
        ),
        (
            dict(text=json.dumps(dict(images=[dict(id=1, file_name=7, **SIZE)], categories=[]))),
            r'labels\.json: images\[0\]: expected the name of a file, got 7',
        ),
        (dict(id=True), r'annotations\[1\]: expected id to be int or str, got True'),
        (dict(text='{"images": [NaN]}'), r'labels\.json: invalid json, line 1 column 13: NaN'),
        (dict(text='[]'), r'labels\.json: expected a json object, got a list'),
        (dict(text='{"images": [{}], "categories": []}'), r'labels\.json: images\[0\] lacks'),
    ],
)
def test_what_mmdet_reads_is_checked_before(check, kind, changes, message):
    with pytest.raises(ValueError, match=message):
        check(kind, **changes)


def test_the_truth_of_a_metric_is_checked(check):
    broken = dict(size=[6, 8], counts='0')
    check(phases=('test',), segmentation=broken)
    with pytest.raises(ValueError, match='annotation 2: expected runs that make up the 48 pixels'):
        check(phases=('val',), segmentation=broken)


def test_other_datasets_read_other_files(check):
    check('mmdet.LVISV1Dataset', text='no json')
    check('mmdet.XMLDataset', text='no json')


def test_annotations_of_other_images_and_without_corners_pass_as_in_mmdet(check):
    check(segmentation=[[1, 2, 3, 4]])
    check(image_id=9)
    check(segmentation=None)


@pytest.mark.parametrize('kind', ['CocoDataset', 'mmp2seg.PointCocoDataset'])
def test_sizes_of_images_are_compared(check, tmp_path, content, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (8, 6)).save(tmp_path / 'images/b.jpg', exif=exif)
    message = (
        r'images/b\.jpg: expected 8 x 6 pixels \(width x height\) as in .*labels\.json, got 6 x 8: '
        'the image has an EXIF rotation'
    )
    with pytest.raises(ValueError, match=message):
        check(kind)
    content['images'][1].update(height=8)
    with pytest.raises(ValueError, match=r'b\.jpg: expected 8 x 8 pixels .*, got 6 x 8$'):
        check('mmp2seg.PointCocoDataset')
    (tmp_path / 'images/b.jpg').write_text('text')
    with pytest.raises(ValueError, match=r'b\.jpg: expected an image file'):
        check('mmp2seg.PointCocoDataset')
    (tmp_path / 'images/b.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'b\.jpg: no such file'):
        check('mmp2seg.PointCocoDataset')


def test_images_at_equal_distances_of_a_large_dataset(check, tmp_path, content, monkeypatch):
    monkeypatch.setattr(data_files, '_MOST_IMAGES', 5)
    for number in range(10, 20):
        name = f'{number}.png'
        cv2.imwrite(str(tmp_path / 'images' / name), np.zeros((6, 8), np.uint8))
        content['images'].append(dict(id=number, file_name=name, **SIZE))
    content['images'][3]['height'] = 7
    check()
    content['images'][4]['height'] = 7
    with pytest.raises(ValueError, match=r'images/12\.png: expected 8 x 7 pixels'):
        check()


def test_innermost_datasets():
    a, b, c = (dict(type=name) for name in 'abc')
    joined = dict(datasets=[dict(dataset=a), dict(datasets=[b, c])])
    cfg = Config(dict(data=dict(times=2, dataset=joined), single=dict(dataset=a)))
    found = data_files.innermost_datasets(cfg.data)
    assert [dataset.type for dataset in found] == ['a', 'b', 'c']
    (single,) = data_files.innermost_datasets(cfg.single)
    single.type = 'd'
    assert cfg.single.dataset.type == 'd'
