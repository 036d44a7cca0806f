import json

import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmdet.structures.mask import PolygonMasks

from mmp2seg.datasets import PseudoLabelCocoDataset
from mmp2seg.ops.rle import encode_rle

CLASSES = ('cup', 'plate')


def annotation(ann_id, image_id, category_id, **changes):
    mask = np.zeros((8, 10), dtype=bool)
    mask[ann_id : ann_id + 3, 2:6] = True
    entry = dict(
        id=ann_id,
        image_id=image_id,
        category_id=category_id,
        bbox=[2, ann_id, 4, 3],
        area=12,
        segmentation=encode_rle(mask),
        iscrowd=0,
        score=ann_id / 8,
    )
    return {**entry, **changes}


@pytest.fixture
def make(tmp_path):
    def write(annotations, dataset=PseudoLabelCocoDataset, **options):
        images = [dict(id=i, file_name=f'{i}.jpg', height=8, width=10) for i in (5, 7)]
        categories = [dict(id=3, name='cup'), dict(id=9, name='plate')]
        content = dict(images=images, categories=categories, annotations=annotations)
        (tmp_path / 'labels.json').write_text(json.dumps(content))
        return dataset(
            ann_file=str(tmp_path / 'labels.json'),
            data_prefix=dict(img='photos', seg='maps'),
            **{'metainfo': dict(classes=CLASSES), 'serialize_data': False, 'pipeline': []}
            | options,
        )

    return write


def test_instances_are_mmdets_with_scores(make):
    annotations = [
        annotation(1, 5, 9),
        annotation(2, 5, 3, area=0),  # skipped by mmdet
        annotation(3, 5, 3),
        annotation(4, 7, 9, iscrowd=1),
        annotation(5, 5, 9, bbox=[-9, 0, 4, 4]),  # skipped by mmdet
    ]
    entries = make(annotations).load_data_list()
    expected = make(annotations, CocoDataset).load_data_list()
    scores = [[one.pop('score') for one in entry['instances']] for entry in entries]
    assert scores == [[1 / 8, 3 / 8], [4 / 8]]
    assert entries == expected
    assert entries[0]['seg_map_path'] == 'maps/5.png'


def test_an_annotation_without_score_has_one(make):
    entry = annotation(1, 5, 9)
    del entry['score']
    assert make([entry]).load_data_list()[0]['instances'][0]['score'] == 1


@pytest.mark.parametrize('score', [-0.5, float('nan'), None, '0.5'])
def test_scores_that_are_none(make, score):
    with pytest.raises(ValueError, match=r'labels.json: annotation 2: expected a score.*got'):
        make([annotation(1, 5, 9), annotation(2, 5, 9, score=score)]).load_data_list()


def test_masks_are_polygons_where_the_pipeline_reads_no_others(make):
    crowd = annotation(4, 5, 3, iscrowd=1)
    crowd['segmentation'] = dict(size=[8, 10], counts=[0, 16, 64])  # uncompressed, as in COCO
    annotations = [annotation(1, 5, 9), annotation(2, 5, 3), crowd]

    def steps(poly2mask):
        load = dict(type='mmdet.LoadAnnotations', with_mask=True, poly2mask=poly2mask)
        return [lambda entry: {**entry, 'ori_shape': (8, 10)}, load]

    bitmaps = make(annotations, pipeline=steps(True))[0]['gt_masks']
    dataset = make(annotations, pipeline=steps(False), serialize_data=True)
    for _ in range(2):  # the first access must not change the entry
        loaded = dataset[0]
        assert isinstance(loaded['gt_masks'], PolygonMasks)
        assert loaded['gt_ignore_flags'].tolist() == [False, False, True]
        assert np.array_equal(loaded['gt_masks'].to_ndarray(), bitmaps.to_ndarray())
    # samplers call get_data_info for every image, for its size or categories: no conversion there
    assert all(isinstance(one['mask'], dict) for one in dataset.get_data_info(0)['instances'])
    mmdets = make(annotations, CocoDataset, pipeline=steps(False))[0]
    assert mmdets['gt_ignore_flags'].all()  # mmdet ignores all instances


def test_a_mask_that_cannot_be_decoded_is_named_before_the_training(make):
    broken = annotation(3, 7, 9, segmentation=dict(size=[8, 10], counts='garbage'))
    message = r'labels\.json: image 7 \(7\.jpg\): annotation 3: expected runs that make up the 80'
    with pytest.raises(ValueError, match=message):
        make([annotation(1, 5, 9), broken])


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        (('Cup', 'plate'), r"labels\.json: .* the file has \['cup', 'plate'\], the config \['Cup'"),
        (('plate', 'cup'), r'in the order of metainfo\.classes'),
        ('cup', r"got the str 'cup'"),
    ],
)
def test_other_classes_than_those_of_the_file(make, classes, message):
    with pytest.raises(ValueError, match=message):
        make([annotation(1, 5, 9)], metainfo=dict(classes=classes))


def test_mmdet_numbers_classes_in_the_order_of_the_file(make):
    """If this fails, the check of the order is no longer needed."""
    dataset = make([annotation(1, 5, 9)], CocoDataset, metainfo=dict(classes=('plate', 'cup')))
    assert dataset.cat2label == {3: 0, 9: 1}  # cup, plate


def test_no_instance_at_all(make):
    options = dict(filter_cfg=dict(filter_empty_gt=True))
    with pytest.raises(ValueError, match=r'labels\.json: expected an image with an instance'):
        make([], **options)


def test_the_kind_of_an_instance(make):
    annotations = [annotation(1, 5, 9, supervision='mask'), annotation(2, 5, 9)]
    first, second = make(annotations).load_data_list()[0]['instances']
    assert first['supervision'] == 'mask' and 'supervision' not in second
    with pytest.raises(ValueError, match=r'labels.json: annotation 1: expected supervision'):
        make([annotation(1, 5, 9, supervision='full')]).load_data_list()


def test_an_annotation_without_a_mask_is_named_if_the_pipeline_reads_masks(make):
    annotations = [annotation(1, 5, 9), annotation(2, 5, 9, segmentation=None)]
    make(annotations).get_data_info(0)
    pipeline = [dict(type='mmdet.LoadAnnotations', with_mask=True)]
    dataset = make(annotations, pipeline=pipeline)
    with pytest.raises(ValueError, match=r'labels\.json: image 5 \(photos/5\.jpg\): expected a'):
        dataset.prepare_data(0)
