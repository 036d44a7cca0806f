import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from mmp2seg.annotation.point_store import Point
from mmp2seg.annotation.predictor import load_predictor, svg_path
from mmp2seg.apis.inferencer import P2SegInferencer
from mmp2seg.registry import MODELS
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc

SEGMENTER = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)),
    long_side=64,
    spacing=1.0,
)
POINTS = [
    Point(8.5, 8.5, 'bar', 11),
    Point(40, 35, 'background'),
    Point(14.5, 25.5, 'block', 12),
    Point(99, 5, 'bar', 13),
]


@pytest.fixture
def images(tmp_path):
    write_tiny_voc(tmp_path)
    return tmp_path / 'JPEGImages'


def network(tmp_path, **extra):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmp2seg.LoadPointAnnotations'),
        dict(type='mmp2seg.PackPointInputs'),
    ]
    cfg = Config(
        dict(
            default_scope='mmdet',
            model=tiny_p2seg_config(),
            test_dataloader=dict(
                dataset=dict(type='mmp2seg.PointCocoDataset', pipeline=pipeline, **extra)
            ),
        )
    )
    torch.manual_seed(0)
    path = tmp_path / 'network.pth'
    save_checkpoint(dict(state_dict=MODELS.build(cfg.model).state_dict()), str(path))
    return cfg, path


def test_masks_of_a_point_segmenter(images, monkeypatch):
    torch.manual_seed(0)
    looked = []
    set_image = P2SegInferencer.set_image
    monkeypatch.setattr(
        P2SegInferencer,
        'set_image',
        lambda self, path: looked.append(path.name) or set_image(self, path),
    )
    cfg = Config(dict(default_scope='mmdet', model=SEGMENTER))
    predict = load_predictor(cfg, None, folder=images, classes=['block', 'bar'], device='cpu')
    found = predict('img_1.jpg', POINTS)
    assert [mask['point'] for mask in found['masks']] == [0, 2]
    assert all(0 <= mask['score'] <= 1 and mask['path'].startswith('M') for mask in found['masks'])
    assert found['dropped'] == [dict(point=3, reason='the point is not inside the image')]
    clicks = predict('img_1.jpg', POINTS[1:2])
    assert clicks == dict(masks=[], dropped=[])
    assert predict('img_1.jpg', POINTS[:1])['masks'] != found['masks'][:1]  # without the others
    assert looked == ['img_1.jpg']
    with pytest.raises(FileNotFoundError, match='gone.jpg'):
        predict('gone.jpg', POINTS)
    assert predict('img_1.jpg', POINTS) == found
    assert looked == ['img_1.jpg', 'gone.jpg', 'img_1.jpg']


def test_masks_of_a_network(images, tmp_path):
    """Names are those of the network, in any order; background clicks are not for it."""
    cfg, checkpoint = network(tmp_path, metainfo=dict(classes=TINY_CLASSES))
    options = dict(folder=images, device='cpu')
    predict = load_predictor(cfg, checkpoint, classes=['block', 'bar'], **options)
    found = predict('img_1.jpg', POINTS)
    expected = P2SegInferencer(cfg, checkpoint, 'cpu')(
        images / 'img_1.jpg', [(8.5, 8.5), (14.5, 25.5), (99, 5)], ['bar', 'block', 'bar']
    )
    assert [m['path'] for m in found['masks']] == [svg_path(mask) for mask in expected.masks]
    found_points = [m['point'] for m in found['masks']] + [p['point'] for p in found['dropped']]
    assert sorted(found_points) == [0, 2, 3]
    with pytest.raises(ValueError, match='which are bar, block; got bar, cat'):
        load_predictor(cfg, checkpoint, classes=['bar', 'cat'], **options)


def test_a_network_without_names_takes_those_of_the_command(images, tmp_path):
    cfg, checkpoint = network(tmp_path)
    options = dict(folder=images, device='cpu')
    known = P2SegInferencer(cfg, checkpoint, 'cpu').classes
    assert known == ('class 0', 'class 1')
    found = load_predictor(cfg, checkpoint, classes=['bar', 'block'], **options)
    named = load_predictor(cfg, checkpoint, classes=list(known), **options)
    renamed = [Point(8.5, 8.5, 'class 0'), POINTS[1], Point(14.5, 25.5, 'class 1')]
    assert found('img_1.jpg', POINTS[:3]) == named('img_1.jpg', renamed)
    with pytest.raises(ValueError, match='which are class 0, class 1; got bar'):
        load_predictor(cfg, checkpoint, classes=['bar'], **options)


def test_svg_path_is_the_mask():
    mask = np.zeros((20, 30), bool)
    mask[3:9, 4:12] = mask[5:15, 10:20] = mask[0, 29] = True
    drawn = np.zeros(mask.shape, np.uint8)
    parts = svg_path(mask).replace('Z', '').split('M')[1:]
    assert len(parts) == 2
    for part in parts:
        corners = np.array([pair.split() for pair in part.split('L')], int)
        # edges are between pixels: pixel c is filled if its centre is inside
        fine = np.zeros((40, 60), np.uint8)
        cv2.fillPoly(fine, [corners * 2], 1)
        drawn |= fine[1::2, 1::2]
    assert (drawn.astype(bool) == mask).all()
    assert svg_path(np.zeros((5, 5), bool)) == ''
