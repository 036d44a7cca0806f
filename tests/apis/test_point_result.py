import dataclasses
import json
import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmp2seg.apis.point_result import (
    DroppedPoint,
    ImageSource,
    PointResult,
    result_of_sample,
    result_of_segmentation,
)
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.image_reading import read_rgb
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.segmenters import PointSegmentation

SIZE = (6, 8)


def instance_map():
    result = np.zeros(SIZE, np.int32)
    result[1:3, 1:4] = 1  # point 0
    result[4, 5:8] = 3  # point 2, in two parts
    result[0, 7] = 3
    return result


def make_result(**changes):
    """Of three points, the second one is dropped."""
    result = result_of_segmentation(
        PointSegmentation(
            instance_map=instance_map(),
            semantic_map=np.zeros(SIZE, np.uint8),
            scores=np.array([0.75, 0, 0.5], np.float32),
            reasons=('', 'outside_image', ''),
        ),
        points_xy=np.array([[1.5, 1.5], [90, 2], [5.5, 4.5]]),
        labels=np.array([1, 0, 0]),
        point_ids=np.array([30, 10, 20]),
        classes=['cat', 'dog'],
        source=ImageSource('a.png', pixels=np.full((*SIZE, 3), 200, np.uint8), image_id=4),
    )
    return dataclasses.replace(result, **changes)


def test_content():
    result = make_result()
    assert len(result) == 2
    assert np.array_equal(result.masks, [instance_map() == 1, instance_map() == 3])
    assert result.masks is result.masks
    assert result.labels.tolist() == [1, 0] and result.scores.tolist() == [0.75, 0.5]
    assert result.points.tolist() == [[1.5, 1.5], [5.5, 4.5]]
    assert result.point_ids.tolist() == [30, 20] and result.point_indices.tolist() == [0, 2]
    assert result.dropped == (DroppedPoint(1, (90.0, 2.0), 0, 10, 'outside_image'),)
    assert (result.file_name, result.image_id, result.size) == ('a.png', 4, SIZE)
    assert 'dropped=' in repr(result) and 'counts' not in repr(result)


def test_a_mask_without_pixels_has_a_reason():
    segmentation = PointSegmentation(
        instance_map=np.zeros(SIZE, np.int32),
        semantic_map=np.zeros(SIZE, np.uint8),
        scores=np.zeros(1, np.float32),
    )
    result = result_of_segmentation(
        segmentation,
        points_xy=np.ones((1, 2)),
        labels=np.zeros(1, np.int64),
        point_ids=np.zeros(1, np.int64),
        classes=['cat'],
        source=ImageSource(),
    )
    assert [p.reason for p in result.dropped] == ['no_pixels'] and result.masks.shape == (0, *SIZE)


def test_data_sample_there_and_back():
    result = make_result(click_scores=np.array([0.25, 1], np.float32))
    sample = result.to_datasample()
    assert isinstance(sample, DetDataSample)
    assert (sample.img_id, sample.file_name, sample.ori_shape) == (4, 'a.png', SIZE)
    assert sample.pred_instances.bboxes.tolist() == [[1, 1, 4, 3], [5, 0, 8, 5]]
    assert sample.dropped_points.reasons == ['outside_image']
    assert sample.ori_points.point_ids.tolist() == [30, 10, 20]  # the order of the call
    assert sample.ori_points.points.tolist() == [[1.5, 1.5], [90, 2], [5.5, 4.5]]
    sample.pred_instances.point_ids = torch.tensor([0, 2])  # places, as in the inferencer
    sample.dropped_points.point_ids = torch.tensor([1])
    back = result_of_sample(
        sample, point_ids=np.array([30, 10, 20]), classes=('cat', 'dog'), source=result.source
    )
    for field in dataclasses.fields(PointResult):
        one, other = getattr(back, field.name), getattr(result, field.name)
        same = np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
        assert same, field.name


def test_a_sample_without_instances():
    sample = DetDataSample()
    sample.pred_instances = InstanceData(
        masks=torch.zeros(0, *SIZE, dtype=torch.bool), scores=torch.zeros(0),
        labels=torch.zeros(0, dtype=torch.long), points=torch.zeros(0, 2, dtype=torch.double),
        point_ids=torch.zeros(0, dtype=torch.long),
    )  # fmt: skip
    sample.dropped_points = InstanceData(
        points=torch.ones(1, 2, dtype=torch.double), labels=torch.zeros(1, dtype=torch.long),
        point_ids=torch.zeros(1, dtype=torch.long), reasons=['no_region'],
    )  # fmt: skip
    result = result_of_sample(
        sample, point_ids=np.array([9]), classes=['cat'], source=ImageSource()
    )
    assert result.masks.shape == (0, *SIZE) and result.click_scores is None
    assert result.dropped == (DroppedPoint(0, (1.0, 1.0), 0, 9, 'no_region'),)
    assert result.to_coco()['dropped_points'][0]['point_id'] == 9
    assert not result.index_map().any()
    assert len(result.to_datasample().ori_points) == 1


def test_coco(tmp_path):
    result = make_result(click_scores=np.array([0.25, 1], np.float32))
    write_json(tmp_path / 'labels.json', result.to_coco())
    content = load(tmp_path / 'labels.json')
    assert content['images'] == [dict(id=4, file_name='a.png', height=6, width=8)]
    assert content['categories'] == [dict(id=1, name='cat'), dict(id=2, name='dog')]
    found = [(a['point_id'], a['category_id'], a['area'], a['click_score'])
             for a in content['annotations']]  # fmt: skip
    assert found == [(20, 1, 4, 1), (30, 2, 6, 0.25)]
    assert content['dropped_points'][0]['reason'] == 'outside_image'
    assert result.to_coco(image_id=8)['images'][0]['id'] == 8
    assert make_result(source=ImageSource()).to_coco()['images'][0] == dict(
        id=1, file_name='image', height=6, width=8
    )


def test_the_image_id_0_is_an_id():
    result = make_result(source=ImageSource('a.png', image_id=0))
    content = result.to_coco()
    assert content['images'][0]['id'] == 0
    assert {entry['image_id'] for entry in content['annotations']} == {0}
    assert make_result(source=ImageSource()).to_datasample().img_id == 0


def test_a_data_sample_shares_no_memory_with_the_result():
    result = make_result()
    masks = result.masks.copy()
    sample = result.to_datasample()
    for key, values in sample.pred_instances.items():
        values.zero_()
        assert not sample.pred_instances[key].any()
    sample.ori_points.points.zero_()
    assert np.array_equal(result.masks, masks) and result.scores.tolist() == [0.75, 0.5]
    assert result.points.tolist() == [[1.5, 1.5], [5.5, 4.5]]
    result.image[:] = 0
    assert (result.image == 200).all()


def test_index_png(tmp_path):
    result = make_result()
    result.to_index_png(tmp_path / 'new' / 'map.png')
    assert np.array_equal(read_index_png(tmp_path / 'new' / 'map.png'), instance_map())
    result.to_index_png(tmp_path / 'map.png', kind='semantic')
    expected = np.array([0, 2, 0, 1])[instance_map()]
    assert np.array_equal(read_index_png(tmp_path / 'map.png'), expected)
    with pytest.raises(ValueError, match="expected kind to be 'instance' or 'semantic', got 'x'"):
        result.index_map(kind='x')
    result = make_result(point_indices=np.array([3, 254]))
    with pytest.raises(ValueError, match=r'm\.png: expected numbers up to 254 .* got 255'):
        result.to_index_png(tmp_path / 'm.png')
    assert not (tmp_path / 'm.png').exists()


def test_labelme(tmp_path):
    (tmp_path / 'images').mkdir()
    source = ImageSource('a.png', path=str(tmp_path / 'images' / 'a.png'))
    make_result(source=source).to_labelme(tmp_path / 'jsons' / 'a.json')
    content = json.loads((tmp_path / 'jsons' / 'a.json').read_text())
    assert content['imagePath'] == '../images/a.png'
    assert (content['imageHeight'], content['imageWidth']) == SIZE
    shapes = content['shapes']
    assert [(s['label'], s['group_id'], s['shape_type']) for s in shapes] == [
        ('dog', 0, 'polygon'), ('cat', 2, 'polygon'), ('cat', 2, 'polygon')
    ]  # fmt: skip
    assert sorted(shapes[0]['points']) == [[1, 1], [1, 3], [4, 1], [4, 3]]
    assert shapes[0]['description'] == 'score 0.750'
    make_result().to_labelme(tmp_path / 'b.json')  # an array has a name alone
    assert json.loads((tmp_path / 'b.json').read_text())['imagePath'] == 'a.png'


def test_supervision(monkeypatch):
    monkeypatch.setitem(sys.modules, 'supervision', SimpleNamespace(Detections=SimpleNamespace))
    found = make_result().to_supervision()
    assert found.xyxy.tolist() == [[1, 1, 4, 3], [5, 0, 8, 5]]
    assert np.array_equal(found.mask, make_result().masks)
    assert found.confidence.tolist() == [0.75, 0.5] and found.class_id.tolist() == [1, 0]
    assert found.data['class_name'].tolist() == ['dog', 'cat']
    assert found.data['point_id'].tolist() == [30, 20]
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(ImportError, match='needs the package supervision: pip install supervision'):
        make_result().to_supervision()


def test_drawing(tmp_path):
    picture = np.full((60, 80, 3), 200, np.uint8)
    mask = np.zeros((60, 80), bool)
    mask[10:20, 10:40] = True
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), picture)
    result = make_result(
        rles=(encode_rle(mask), encode_rle(~mask)),
        points=np.array([[15.5, 15.5], [60.5, 50.5]]),
        dropped=(DroppedPoint(1, (70.5, 30.5), 0, 10, 'no_region'),),
        size=(60, 80),
        source=ImageSource('a.png', path=str(path)),
    )
    drawn = result.draw()
    assert drawn.shape == picture.shape and drawn.dtype == np.uint8
    assert (drawn[15, 35] != 200).any() and (drawn[15, 35] != drawn[50, 20]).any()
    assert (drawn[30, 70] != drawn[30, 40]).any()  # the cross
    assert np.array_equal(result.image, read_rgb(path))
    assert 'masks' not in vars(result)  # drawing keeps no decoded masks
