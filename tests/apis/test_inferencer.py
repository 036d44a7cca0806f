import json
import os
import weakref
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import save_checkpoint
from PIL import Image

import mmp2seg
from mmp2seg.apis.inferencer import P2SegInferencer
from mmp2seg.apis.point_masks import build_point_segmenter, write_point_masks
from mmp2seg.apis.predictions import set_prediction_data, write_point_maps
from mmp2seg.apis.stage1_network import Stage1Network
from mmp2seg.converters.points_file import read_points
from mmp2seg.datasets.point_supervision import read_given_mask
from mmp2seg.ops.rle import decode_rle
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.registry import DATASETS, MODELS
from mmp2seg.segmenters.sam_network import SamNetwork
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc
from mmp2seg.testing.tiny_sam import write_tiny_sam

SEGMENTER = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)),
    long_side=64,
    spacing=1.0,
)
POINTS, LABELS = [(8.5, 8.5), (23.5, 8.5), (14.5, 25.5)], ['bar', 'bar', 'block']
NAMED = dict(classes=TINY_CLASSES)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(type='mmdet.Resize', scale=(96, 80), keep_ratio=True),
    dict(type='mmp2seg.PackPointInputs'),
]


def network_config(*, metainfo=NAMED, pipeline=PIPELINE, **extra):
    dataset = dict(
        type='mmp2seg.PointCocoDataset', ann_file='gone.json', metainfo=metainfo, pipeline=pipeline
    )
    test_cfg = dict(use_weak_map=True, network_weight=0.5)
    return Config(
        dict(
            default_scope='mmdet',
            model=tiny_p2seg_config(test_cfg=test_cfg),
            test_dataloader=dict(batch_size=4, dataset=dataset),
            **extra,
        )
    )


def segmenter_config(**extra):
    return Config(dict(default_scope='mmdet', model=SEGMENTER, **extra))


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Weights of the network, which prefers objects to background."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('network') / 'network.pth'
    save_checkpoint(dict(state_dict=seeded_state()), str(path))
    return str(path)


def seeded_state():
    torch.manual_seed(0)
    state = MODELS.build(network_config().model).state_dict()
    (bias,) = [name for name in state if name.startswith('semantic_head') and len(state[name]) == 3
               and state[name].ndim == 1]  # fmt: skip
    state[bias] += torch.tensor([-1.0, 0.0, 0.0])
    return state


@pytest.fixture(scope='module')
def network(checkpoint):
    return P2SegInferencer(network_config(), checkpoint, 'cpu')


@pytest.fixture(scope='module')
def segmenter():
    torch.manual_seed(0)
    return P2SegInferencer(segmenter_config(), classes=TINY_CLASSES)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Three images, their maps, and ``points.json`` and ``points.csv``."""
    root = tmp_path_factory.mktemp('images')
    write_tiny_voc(root)
    places = [(7, 2, p) for p in POINTS[:2]] + [(7, 1, POINTS[2]), (2, 1, (20.5, 12.5))]
    content = dict(
        images=[
            dict(id=image_id, file_name=f'img_{number}.jpg', height=40, width=48)
            for number, image_id in ((1, 7), (2, 2), (3, 5))
        ],
        # another order than the config's: labels go by name
        categories=[dict(id=1, name='block'), dict(id=2, name='bar')],
        annotations=[
            dict(id=index, image_id=image_id, category_id=category, point=list(point))
            for index, (image_id, category, point) in enumerate(places, start=11)
        ],
    )
    (root / 'points.json').write_text(json.dumps(content))
    (root / 'points.csv').write_text(
        'file,x,y,class\nimg_1.jpg,8.5,8.5,bar\nimg_2.jpg,20.5,12.5,block\nimg_2.jpg,1,39,background\n'
    )
    return root


def paths(folder, number=1):
    return folder / 'JPEGImages' / f'img_{number}.jpg', folder / 'WSSS_maps' / f'img_{number}.png'


def assert_same(one, other):
    assert one.rles == other.rles
    for key in ('labels', 'scores', 'points', 'point_indices'):
        assert np.array_equal(getattr(one, key), getattr(other, key)), key
    assert [(p.index, p.reason) for p in one.dropped] == [
        (p.index, p.reason) for p in other.dropped
    ]


def count_passes(module):
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


# the network


@pytest.mark.parametrize('with_map', [True, False])
def test_results_are_those_of_the_test_pipeline(network, checkpoint, folder, with_map):
    cfg = network_config()
    maps = str(folder / 'WSSS_maps') if with_map else None
    set_prediction_data(
        cfg,
        images=str(folder / 'JPEGImages'),
        points=str(folder / 'points.json'),
        semantic_maps=maps,
    )
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    model = Stage1Network(network_config(), checkpoint).model
    found = network(
        folder / 'JPEGImages', points=str(folder / 'points.json'), semantic_map=maps,
        return_datasamples=True,
    )  # fmt: skip
    assert len(found) == 3 and sum(len(sample.pred_instances) for sample in found) >= 3
    for index, sample in enumerate(found):
        data = dataset[index]
        batch = dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
        with torch.no_grad():
            (expected,) = model.test_step(batch)
        assert (sample.img_id, sample.ori_shape) == (expected.img_id, expected.ori_shape)
        for part in ('pred_instances', 'dropped_points', 'ori_points'):
            one, other = sample.get(part), expected.get(part)
            assert set(one.keys()) == set(other.keys())
            for key in one.keys():  # noqa: SIM118
                same = one[key] == other[key]
                assert same if isinstance(same, bool) else same.all(), (part, key)


@pytest.mark.parametrize('with_map', [True, False])
def test_paths_arrays_and_kept_images_give_the_same(network, folder, with_map):
    path, map_path = paths(folder)
    image = cv2.imread(str(path))
    semantic_map = np.array(Image.open(map_path)) if with_map else None
    result = network(image, POINTS, LABELS, semantic_map=semantic_map)
    assert len(result) + len(result.dropped) == 3 and len(result) >= 1
    assert result.masks.shape == (len(result), 40, 48) and result.masks.any((1, 2)).all()
    assert_same(network(path, POINTS, [0, 0, 1], semantic_map=semantic_map), result)
    network.set_image(str(path), map_path if with_map else None)
    assert_same(network.predict(np.array(POINTS), np.array([0, 0, 1])), result)
    assert np.array_equal(result.image, image[..., ::-1])
    pixel = result.masks[0, 8, 8]
    image[:] = 0  # the result has its own copy
    assert result.image.any() and result.masks[0, 8, 8] == pixel


def test_further_clicks_cost_no_pass_of_the_network(network, folder):
    calls = count_passes(network._network.model.backbone)
    network.set_image(*paths(folder))
    first = network.predict(POINTS[:1], 'bar')
    both = network.predict(POINTS[:2], 'bar')
    again = network.predict(POINTS[:1], ['bar'])
    assert len(calls) == 1
    assert_same(first, again)
    assert_same(both, network(paths(folder)[0], POINTS[:2], 'bar', semantic_map=paths(folder)[1]))
    assert len(calls) == 2
    # whatever was clicked before, in any order and of any classes
    for number, labels in ((3, LABELS), (2, ['block', 'bar']), (3, LABELS), (0, []), (1, ['bar'])):
        options = dict(labels=labels, semantic_map=paths(folder)[1])
        assert_same(
            network.predict(POINTS[:number], labels),
            network(paths(folder)[0], POINTS[:number], **options),
        )
    assert 1 < len(network._look.maps) <= 3
    # a call leaves the kept image alone
    network(paths(folder, 2)[0], [(20, 12)], 'block')
    assert_same(first, network.predict(POINTS[:1], 0))


def test_a_point_on_the_edge_is_on_the_last_pixel(network, segmenter, folder):
    for inferencer in (network, segmenter):
        options = dict(semantic_map=paths(folder)[1]) if inferencer is network else {}
        result = inferencer(paths(folder)[0], [(48, 40), POINTS[0]], 'bar', **options)
        assert 'outside_image' not in [dropped.reason for dropped in result.dropped]


def test_points_outside_and_repeated_ones_are_dropped(network, segmenter, folder):
    points = [POINTS[0], (480, 3), POINTS[0], (-0.1, 5)]
    for inferencer in (network, segmenter):
        options = dict(semantic_map=paths(folder)[1]) if inferencer is network else {}
        result = inferencer(paths(folder)[0], points, 'bar', **options)
        assert result.point_indices.tolist() == [0]
        assert [(p.index, p.reason) for p in result.dropped] == [
            (1, 'outside_image'), (2, 'duplicate'), (3, 'outside_image')
        ]  # fmt: skip
        assert str(result.dropped[0]) == 'point 1 at (480, 3): the point is not inside the image'


def test_no_points(network, segmenter, folder):
    for inferencer in (network, segmenter):
        result = inferencer(paths(folder)[0], [])
        assert len(result) == 0 and result.masks.shape == (0, 40, 48) and result.dropped == ()
        assert len(inferencer(paths(folder)[0], [], return_datasamples=True).pred_instances) == 0
        result.draw()


def test_the_map_is_made_from_the_points_as_predict_does(checkpoint, folder, tmp_path):
    torch.manual_seed(0)
    weights = build_point_segmenter(segmenter_config()).state_dict()
    cfg = network_config(point_segmenter=SEGMENTER)
    inferencer = P2SegInferencer(cfg, checkpoint)
    inferencer._segmenter.load_state_dict(weights)
    torch.manual_seed(0)  # the same random backbone
    files = dict(images=str(folder / 'JPEGImages'), points=str(folder / 'points.json'))
    assert write_point_maps(cfg, **files, folder=str(tmp_path / 'maps'))
    images = folder / 'JPEGImages'
    found = inferencer(images, points=folder / 'points.json')
    expected = inferencer(images, points=folder / 'points.json', semantic_map=tmp_path / 'maps')
    alone = P2SegInferencer(cfg, checkpoint, maps_from_points=False)(
        images, points=folder / 'points.json'
    )
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert found[0].rles != alone[0].rles
    # clicks pass neither the network nor the segmenter's backbone again
    calls = count_passes(inferencer._network.model.backbone)
    calls_of_segmenter = count_passes(inferencer._segmenter.backbone)
    inferencer.set_image(images / 'img_1.jpg')
    inferencer.predict(POINTS[:2], 'bar')
    assert_same(inferencer.predict(POINTS, LABELS), found[0])
    assert len(calls) == len(calls_of_segmenter) == 1
    inferencer.predict(POINTS, LABELS, background_points=[(40, 30)], object_size=9.0)
    # with a map, there is nobody who reads them
    with pytest.raises(ValueError, match='no background_points, .*: the semantic map takes its pl'):
        inferencer(*paths(folder)[:1], POINTS, LABELS, semantic_map=paths(folder)[1],
                   background_points=[(40, 30)])  # fmt: skip


def test_classes_of_the_checkpoint_come_first(checkpoint, tmp_path):
    content = dict(state_dict=seeded_state(), meta=dict(dataset_meta=dict(classes=('x', 'y'))))
    save_checkpoint(content, str(tmp_path / 'named.pth'))
    assert P2SegInferencer(network_config(), tmp_path / 'named.pth').classes == ('x', 'y')
    own = P2SegInferencer(network_config(), tmp_path / 'named.pth', classes=['p', 'q'])
    assert own.classes == ('p', 'q')
    assert P2SegInferencer(network_config(), checkpoint).classes == TINY_CLASSES
    unnamed = P2SegInferencer(network_config(metainfo=None), checkpoint)
    assert unnamed.classes == ('class 0', 'class 1')
    with pytest.raises(ValueError, match='expected 2 classes, as the model has, got p'):
        P2SegInferencer(network_config(), checkpoint, classes=['p'])


# the point segmenter


def test_the_point_segmenter_needs_no_checkpoint(segmenter, folder):
    path, _ = paths(folder)
    result = segmenter(path, POINTS, LABELS)
    model, image = segmenter._segmenter, np.array(Image.open(path))
    expected = model(image, points_xy=POINTS, labels=[0, 0, 1], num_classes=2)
    assert np.array_equal(result.index_map(), expected.instance_map)
    assert np.array_equal(result.scores, expected.scores)
    assert result.click_scores is None
    assert_same(segmenter(cv2.imread(str(path)), POINTS, LABELS), result)
    calls = count_passes(model.backbone)
    segmenter.set_image(path)
    segmenter.predict(POINTS[:1], LABELS[:1])
    assert_same(segmenter.predict(POINTS, LABELS), result)
    assert len(calls) == 1
    clicked = segmenter.predict(POINTS, LABELS, background_points=[(11.5, 8.5)])
    assert clicked.rles != result.rles


def test_features_are_kept_for_the_last_scales_alone(folder):
    inferencer = P2SegInferencer(segmenter_config())
    inferencer._segmenter.spacing = 48.0
    inferencer.set_image(paths(folder)[0])
    for distance in (2, 4, 6, 8, 10, 12):
        inferencer.predict([(20, 20), (20 + distance, 20)], 'a', object_size=4.0 * distance)
    assert 1 < len(inferencer._look.frames) <= 3


def test_a_point_segmenter_learns_its_classes(folder):
    inferencer = P2SegInferencer(segmenter_config())
    path = paths(folder)[0]
    assert inferencer.classes == ()
    assert inferencer(path, POINTS[:1]).classes == ('object',)
    inferencer = P2SegInferencer(segmenter_config())
    assert inferencer(path, POINTS[:2], ['dog', 'cat']).labels.tolist() == [0, 1]
    assert inferencer(path, POINTS[:2], [2, 'cat']).classes == ('dog', 'cat', 'class 2')
    with pytest.raises(
        ValueError, match='expected a label for each point, numbers or names of dog'
    ):
        inferencer(path, POINTS)
    with pytest.raises(ValueError, match=r'expected a class in 0\.\.253, got 254'):
        inferencer(path, POINTS[:2], ['zebra', 254])
    assert inferencer.classes == ('dog', 'cat', 'class 2')  # a call that fails adds none
    inferencer(path, POINTS[:1], 'class 4')
    with pytest.raises(ValueError, match="got a number that would be another 'class 4'"):
        inferencer(path, POINTS[:1], 4)


def test_a_folder_gives_the_labels_of_mmp2seg_masks(segmenter, folder, tmp_path):
    images, points = folder / 'JPEGImages', folder / 'points.csv'
    inferencer = P2SegInferencer(segmenter_config())
    inferencer._segmenter.load_state_dict(segmenter._segmenter.state_dict())
    labels = mmp2seg.PseudoLabels.from_results(inferencer.stream(images, points))
    content = read_points(points, images)
    write_point_masks(segmenter._segmenter, content, images, outfile=tmp_path / 'masks.json')
    expected = load(tmp_path / 'masks.json')
    found = labels.to_coco()
    for part in ('images', 'categories', 'annotations', 'dropped_points'):
        drop = ('background_points',)  # not of the pseudo labels, but copied there
        assert found[part] == [
            {key: value for key, value in entry.items() if key not in drop}
            for entry in expected[part]
        ]
    assert len(found['annotations']) == 2 and found['categories'][0]['name'] == 'bar'


def test_a_semantic_map_is_a_prior_of_the_point_segmenter(segmenter, folder):
    path, _ = paths(folder)
    semantic_map = np.zeros((40, 48), np.uint8)
    semantic_map[2:14, 2:30] = 1  # two touching bars
    semantic_map[20:32, 8:22] = 2
    alone = segmenter(path, POINTS, LABELS)
    result = segmenter(path, POINTS, LABELS, semantic_map=semantic_map)
    assert result.rles != alone.rles
    found, truth = result.index_map(kind='semantic'), semantic_map
    agreement = [(one == truth).mean() for one in (found, alone.index_map(kind='semantic'))]
    assert agreement[0] > max(agreement[1], 0.8)
    # classes without points are background
    one_class = np.where(semantic_map == 1, 1, 0).astype(np.uint8)
    assert_same(
        segmenter(path, POINTS[:2], 'bar', semantic_map=one_class),
        segmenter(path, POINTS[:2], 'bar', semantic_map=semantic_map),
    )


# images


def test_arrays_are_neither_shared_nor_changed(network, segmenter, folder):
    rgb = np.array(Image.open(paths(folder)[0]))
    before = rgb.copy()
    for inferencer in (network, segmenter):
        result = inferencer(rgb[..., ::-1], POINTS, LABELS)  # a view of the caller's array
        assert not np.shares_memory(result.source.pixels, rgb)
        inferencer.set_image(rgb[..., ::-1])
        first = inferencer.predict(POINTS, LABELS)
        first.image[:] = 0
        rgb[:] = 0
        assert_same(inferencer.predict(POINTS, LABELS), first)
        assert np.array_equal(first.image, before)
        rgb[:] = before
        points, labels = np.array(POINTS), np.array([0, 0, 1])
        inferencer(rgb, points, labels).points[:] = 0
        assert points.tolist() == [list(point) for point in POINTS]


def test_kinds_of_images(network, segmenter, tmp_path):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)
    grey = rgb[..., 0]
    alpha = np.dstack([rgb, grey])
    exif = Image.fromarray(rgb).getexif()
    exif[0x0112] = 6  # shown after a turn by 90 degrees clockwise
    Image.fromarray(grey).save(tmp_path / 'grey.png')
    Image.fromarray(alpha).save(tmp_path / 'alpha.png')
    Image.fromarray(rgb).save(tmp_path / 'turned.png', exif=exif)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / 'deep.png')
    three = np.repeat(grey[..., None], 3, 2)
    cases = {
        'grey.png': (grey, three),
        'alpha.png': (np.dstack([rgb[..., ::-1], grey]), rgb),
        'turned.png': (np.rot90(rgb, -1)[..., ::-1], np.rot90(rgb, -1)),
        'deep.png': (three, three),  # exact for mmcv's upper bits; the stretch is checked below
    }
    points, labels = [(10.5, 10.5), (30.5, 20.5)], [0, 1]
    for name, (array, expected) in cases.items():
        for inferencer in (network, segmenter):
            result = inferencer(tmp_path / name, points, labels)
            assert result.size == expected.shape[:2], name
            if name != 'deep.png' or inferencer is network:
                assert_same(result, inferencer(array, points, labels))
            if name != 'deep.png':
                assert np.array_equal(result.image, expected), name
            assert result.draw().shape == expected.shape
    for inferencer in (network, segmenter):
        found = inferencer(grey[:, :, None], points, labels)
        assert_same(found, inferencer(three, points, labels))
        for size in ((1, 1), (1, 40), (40, 1)):
            tiny = inferencer(np.zeros((*size, 3), np.uint8), [(0.5, 0.5)], 0)
            assert tiny.size == size and tiny.masks[0, 0, 0]


# several images


def test_a_batch_gives_what_single_images_give(network, folder):
    rng = np.random.default_rng(0)
    # the pipeline keeps the ratio: two sizes of inputs
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8)
              for size in ((40, 48), (30, 60), (40, 48), (20, 40), (40, 48))]  # fmt: skip
    points = [POINTS, POINTS[:2], [], POINTS[:1], POINTS[1:]]
    labels = [LABELS, 'bar', [], 'block', LABELS[1:]]
    sizes = []
    hook = network._network.model.backbone.register_forward_hook(
        lambda _, inputs, __: sizes.append(tuple(inputs[0].shape))
    )
    singles = network(images, points, labels)
    assert len(sizes) == 5 and len(set(sizes)) == 2
    sizes.clear()
    found = network(images, points, labels, batch_size=4)
    hook.remove()
    assert sorted(size[0] for size in sizes) == [1, 2, 2]  # 4 images of two sizes, then 1
    for one, other in zip(found, singles, strict=True):
        assert one.file_name == other.file_name
        assert np.array_equal(one.index_map(), other.index_map())
        assert np.allclose(one.scores, other.scores, atol=1e-5)
    files = network(folder / 'JPEGImages', folder / 'points.json', batch_size=3)
    for one, other in zip(files, network(folder / 'JPEGImages', folder / 'points.json')):
        assert np.array_equal(one.index_map(), other.index_map()) and one.image_id == other.image_id


def test_threads_can_share_an_inferencer(network, segmenter, folder):
    images = [paths(folder, 1 + n % 3)[0] for n in range(12)]
    points = [POINTS[: 1 + n % 3] for n in range(12)]
    for inferencer in (network, segmenter):
        expected = [inferencer(*call, 'bar') for call in zip(images, points, strict=True)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda i, p: inferencer(i, p, 'bar'), images, points))  # noqa: B023
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)


def test_the_default_scope_of_the_caller_stays(checkpoint):
    with ThreadPoolExecutor(4) as pool:  # mmengine's scope is global
        made = [
            pool.submit(P2SegInferencer, cfg, *weights)
            for cfg, *weights in [(segmenter_config(),), (network_config(), checkpoint)] * 4
        ]
        assert len([one.result() for one in made]) == 8
    with DefaultScope.overwrite_default_scope('mmseg'):
        P2SegInferencer(segmenter_config())
        P2SegInferencer(network_config(), checkpoint)
        assert DefaultScope.get_current_instance().scope_name == 'mmseg'


def test_show(segmenter, folder, monkeypatch):
    shown = []

    def show(visualizer, picture, *, title, wait_time):
        shown.append((visualizer, picture, title, wait_time))

    monkeypatch.setattr('mmp2seg.apis.inferencer.show_picture', show)
    images = [paths(folder, n)[0] for n in (1, 2)]
    results = segmenter(images, [POINTS] * 2, 0, show=True, wait_time=0.5)
    assert [entry[2:] for entry in shown] == [('img_1.jpg', 0.5), ('img_2.jpg', 0.5)]
    assert shown[0][0] is shown[1][0]  # one window
    assert np.array_equal(shown[1][1], results[1].draw())


def test_lists(network, folder):
    images = [paths(folder, n)[0] for n in (1, 2, 3)]
    points = [POINTS, [(20.5, 12.5)], []]
    results = network(images, points, [LABELS, ['block'], []])
    assert [len(r) + len(r.dropped) for r in results] == [3, 1, 0]
    assert_same(results[1], network(images[1], points[1], 'block'))
    assert [r.file_name for r in results] == ['img_1.jpg', 'img_2.jpg', 'img_3.jpg']
    arrays = network((cv2.imread(str(path)) for path in images[:2]), points[:2], np.int64(1))
    assert [r.file_name for r in arrays] == ['image_1', 'image_2']
    assert_same(arrays[1], results[1])


def test_a_stream_keeps_one_image(network, folder):
    image = cv2.imread(str(paths(folder)[0]))
    made, alive = [], []

    def images():
        for _ in range(6):
            array = image.copy()
            made.append(weakref.ref(array))
            yield array
            del array

    for result in network.stream(images(), iter([POINTS] * 6), 0):
        made.append(weakref.ref(result))
        made.append(weakref.ref(result.source.pixels))
        alive.append(sum(ref() is not None for ref in made))
    del result
    assert len(alive) == 6 and max(alive) <= 3  # image, result and its pixels
    assert sum(ref() is not None for ref in made) == 0


def test_a_stream_reads_images_when_they_are_asked_for(network, folder, monkeypatch):
    read = []
    original = Stage1Network.read
    monkeypatch.setattr(
        Stage1Network, 'read', lambda self, path: (read.append(path), original(self, path))[1]
    )
    results = network.stream(folder / 'JPEGImages', folder / 'points.json')
    assert read == []
    first = next(results)
    assert len(read) == 1 and first.image_id == 7
    assert first.points.tolist() == [list(POINTS[n]) for n in first.point_indices]
    assert set(first.point_ids) | {p.point_id for p in first.dropped} == {11, 12, 13}


def test_out_dir(segmenter, folder, tmp_path):
    results = segmenter(
        folder / 'JPEGImages', points=folder / 'points.json', out_dir=tmp_path / 'out'
    )
    written = sorted(p.relative_to(tmp_path / 'out').as_posix() for p in tmp_path.rglob('*.*'))
    names = [f'img_{n}.jpg' for n in (1, 2, 3)]
    assert written == [f'preds/{n}.json' for n in names] + [f'vis/{n}.png' for n in names]
    picture = np.array(Image.open(tmp_path / 'out' / 'vis' / 'img_1.jpg.png'))
    assert np.array_equal(picture, results[0].draw())
    assert load(tmp_path / 'out' / 'preds' / 'img_1.jpg.json')['images'][0]['id'] == 7
    assert all('masks' not in vars(result) for result in results)  # only the encoded ones are kept
    image = cv2.imread(str(paths(folder)[0]))
    segmenter([image, image], [POINTS, POINTS], 0, out_dir=tmp_path / 'a', no_save_vis=True)
    segmenter(image, POINTS, 0, out_dir=tmp_path / 'b', no_save_pred=True)
    for name, expected in (('a', ['image_1.json', 'image_2.json']), ('b', ['image.png'])):
        assert sorted(p.name for p in (tmp_path / name).rglob('*.*')) == expected


# errors


def test_configs_that_do_not_fit(checkpoint, tmp_path):
    def error(*args, **options):
        with pytest.raises(ValueError) as caught:
            P2SegInferencer(*args, **options)
        (line,) = str(caught.value).splitlines()
        return line

    assert 'config not found: p2seg/tiny_shape' in error('p2seg/tiny_shape')
    assert 'expected a checkpoint, as its model is a network' in error('p2seg/tiny_shapes')
    assert error(network_config()).startswith('config: expected a checkpoint')
    assert 'checkpoint not found: gone.pth' in error(network_config(), 'gone.pth')
    assert 'expected model to be a point segmenter' in error('refine/mask-rcnn_tiny_shapes')
    assert 'without class_head_training' in error('point_segmenter/efficientnet-lite0_class-head')
    assert 'expected no checkpoint, got x.pth' in error(segmenter_config(), 'x.pth')
    assert 'expected a device such as cpu or cuda, got gpu' in error(
        segmenter_config(), None, 'gpu'
    )
    assert 'unique class names' in error(segmenter_config(), classes=['a', 'a'])
    assert "got the str 'cell'" in error(segmenter_config(), classes='cell')
    (tmp_path / 'text.pth').write_text('text')
    assert 'text.pth: expected a checkpoint' in error(network_config(), tmp_path / 'text.pth')
    state = seeded_state()
    name = next(iter(state))
    save_checkpoint(dict(state_dict={name: state[name]}), str(tmp_path / 'other.pth'))
    assert 'entries are missing or have another shape' in error(
        network_config(), tmp_path / 'other.pth'
    )


def test_inputs_that_do_not_fit(network, segmenter, folder, tmp_path):
    path, _ = paths(folder)
    image = cv2.imread(str(path))
    (tmp_path / 'text.jpg').write_text('text')
    wide = np.zeros((40, 50), np.uint8)
    cases = [
        (network, (image, [(1, 2, 3)], 'bar'), {}, r'points \[\(x, y\), .* shape \(1, 3\)'),
        (network, (image, (1, 2), 'bar'), {}, r'the shape \(2,\)'),
        (network, (image, [('a', 2)], 'bar'), {}, r'expected points \[\(x, y\), \.\.\.\], got'),
        (network, (image, [(1, 2), (np.nan, 1)], 0), {}, r'finite .* \(nan, 1\) at place 1'),
        (network, (image, [(1, 2)], 'cow'), {}, "expected a class of bar, block, got 'cow'"),
        (network, (image, [(1, 2)], 2), {}, r'expected a class in 0\.\.1, got 2'),
        (network, (image, [(1, 2)], -1), {}, r'expected a class in 0\.\.1, got -1'),
        (network, (image, [(1, 2)], [0.5]), {}, r'number or the name of a class, got 0\.5'),
        (network, (image, [(1, 2)], [0, 1]), {}, 'a label for each point, got 2 for 1 points'),
        (network, (image, [(1, 2)]), {}, 'a label for each point, numbers or names of bar'),
        (network, (image[..., :2], [(1, 2)], 0), {}, r'uint8 BGR .* got \(40, 48, 2\) uint8'),
        (network, (image.astype(np.uint16), [], 0), {}, r'BGR .* got \(40, 48, 3\) uint16'),
        (network, (image / 255, [(1, 2)], 0), {}, 'got .* float64'),
        (network, (Image.open(path), [(1, 2)], 0), {}, 'BGR or as path, got JpegImageFile'),
        (network, (tmp_path / 'text.jpg', [], 0), {}, r'text\.jpg: expected an image'),
        (segmenter, (tmp_path / 'text.jpg', [], 0), {}, r'text\.jpg: expected an image'),
        (network, (image, [(1, 2)], 0), dict(semantic_map=wide), r'48 x 40 pixels .* got 50 x 40'),
        (network, (image, [(1, 2)], 0), dict(semantic_map=wide[:, :48] + 3), r'1\.\.2 .* got 3'),
        (network, (image, [(1, 2)], 0), dict(semantic_map=wide[:, :48] > 0), r'uint8, got .* bool'),
        (network, (image, [(1, 2)], 0), dict(object_size=3), 'expected no object_size'),
        (network, (image, [(1, 2)], 0), dict(background_points=[(1, 1)]), 'no background_points'),
        (network, ([image], [[(1, 2)]], 0), dict(batch_size=0), 'batch_size of at least 1, got 0'),
        (segmenter, (image, [(1, 2)], 0), dict(semantic_map=wide), r'48 x 40 pixels .* got 50'),
        (network, ([image], [], 0), {}, 'expected points for each image, got 0'),
        (network, ([image], [POINTS], [LABELS]), dict(semantic_map=[]), 'maps for each image'),
        (network, ([image], [POINTS] * 2, 0), {}, 'points for each image, got more than 1'),
        (network, (folder, POINTS), {}, 'expected a points file, got list'),
        (network, (folder, folder / 'points.json', LABELS), {}, 'labels .* in the points file'),
    ]  # fmt: skip
    for inferencer, args, options, message in cases:
        with pytest.raises(ValueError, match=message) as caught:
            inferencer(*args, **options)
        assert '\n' not in str(caught.value), message
    for inferencer in (network, segmenter):
        with pytest.raises(FileNotFoundError, match=r'gone\.jpg: no such file'):
            inferencer('gone.jpg', [(1, 2)], 0)
    with pytest.raises(FileNotFoundError, match=r'gone\.csv'):
        network.stream(folder / 'JPEGImages', 'gone.csv')  # before the first result
    with pytest.raises(ValueError, match='call set_image first'):
        P2SegInferencer(segmenter_config()).predict(POINTS)


def test_a_map_is_resized_if_the_pipeline_does(checkpoint, folder):
    pipeline = [dict(step) for step in PIPELINE]
    pipeline[1]['resize_seg_map'] = True
    inferencer = P2SegInferencer(network_config(pipeline=pipeline), checkpoint)
    path, map_path = paths(folder)
    semantic_map = np.array(Image.open(map_path))
    large = semantic_map.repeat(2, 0).repeat(2, 1)
    result = inferencer(path, POINTS, LABELS, semantic_map=large)
    assert_same(result, inferencer(path, POINTS, LABELS, semantic_map=semantic_map))


def test_who_reads_background_points(network, segmenter):
    assert segmenter.reads_background_points and not network.reads_background_points


class Attack:
    def __reduce__(self):
        return os.system, ('touch attacked',)


def test_a_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict=seeded_state(), meta=Attack()), 'evil.pth')
    with pytest.raises(ValueError, match=r'evil\.pth: expected weights, got Python objects'):
        P2SegInferencer(network_config(), 'evil.pth')
    assert not os.path.exists('attacked')


# ------------------------------------------------------------------------------------------ SAM


def test_a_random_sam_encodes_an_image_once(tmp_path, monkeypatch):
    pytest.importorskip('transformers', reason='transformers (extra sam) is not installed')
    write_tiny_sam(tmp_path)
    cfg = dict(model=dict(type='mmp2seg.SamPointSegmenter', weights=str(tmp_path)))
    inferencer = P2SegInferencer(Config(cfg), device='cpu')
    calls = []
    embed = SamNetwork.embed
    monkeypatch.setattr(SamNetwork, 'embed', lambda *args: calls.append(1) or embed(*args))
    inferencer.set_image(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    first = inferencer.predict([(10, 10)], ['cat'])
    second = inferencer.predict([(10, 10), (50, 30)], ['cat', 'dog'], [(1, 1)])
    assert (len(first), len(second), len(calls)) == (1, 2, 1)
    (annotation,) = first.to_coco()['annotations']
    assert len(annotation['candidates']) == 3
    with pytest.raises(ValueError, match='expected no object_size, which SamPointSegmenter does'):
        inferencer.predict([(10, 10)], ['cat'], object_size=9)


def _given_points(folder, tmp_path):
    """The points file of ``folder`` with a mask for point 11 and a box for point 12."""
    content = json.loads((folder / 'points.json').read_text())
    content['annotations'][0].update(
        supervision='mask',
        segmentation=[[4, 4, 30, 4, 30, 6, 4, 6], [40, 30, 44, 30, 44, 34, 40, 34]],
    )
    content['annotations'][1].update(supervision='box', bbox=[20, 6, 6, 5])
    path = tmp_path / 'given.json'
    path.write_text(json.dumps(content))
    return path, content


@pytest.mark.parametrize('name', ['network', 'segmenter'])
def test_true_masks_of_a_points_file_are_kept(request, folder, tmp_path, name):
    inferencer = request.getfixturevalue(name)
    path, content = _given_points(folder, tmp_path)
    result, *_ = inferencer(folder / 'JPEGImages', path)
    kinds = dict(zip(result.point_ids.tolist(), result.supervision, strict=True))
    assert kinds[11] == 'mask' and kinds.get(13, 'point') == 'point'
    place = result.point_ids.tolist().index(11)
    image = content['images'][0]
    _, expected = read_given_mask(content['annotations'][0], image=image, where='x')
    assert np.array_equal(result.masks[place], decode_rle(expected))
    assert result.scores[place] == 1
    if 12 in kinds:
        rows, columns = np.nonzero(result.masks[result.point_ids.tolist().index(12)])
        assert rows.min() >= 6 and rows.max() <= 10 and columns.min() >= 20 and columns.max() <= 25
    assert {a['supervision'] for a in result.to_coco()['annotations']} == set(kinds.values())


@pytest.mark.parametrize('name', ['network', 'segmenter'])
def test_true_masks_of_a_call_are_kept(request, folder, name):
    inferencer = request.getfixturevalue(name)
    mask = np.zeros((40, 48), bool)
    mask[2:9, 3:40] = True
    inferencer.set_image(folder / 'JPEGImages' / 'img_1.jpg')
    plain = inferencer.predict(POINTS, LABELS)
    result = inferencer.predict(
        POINTS, LABELS, masks=[mask, None, None], boxes=[None, None, (12, 22, 5, 6)]
    )
    assert np.array_equal(result.masks[0], mask) and result.supervision[0] == 'mask'
    assert plain.supervision is None
    again = inferencer.predict(POINTS, LABELS)  # nothing of the masks is remembered
    assert np.array_equal(again.masks, plain.masks)
    if 2 in result.point_indices:
        rows, columns = np.nonzero(result.masks[result.point_indices.tolist().index(2)])
        assert (rows.min(), columns.min()) >= (22, 12) and rows.max() <= 27 and columns.max() <= 16


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (dict(masks=[None]), 'masks with an entry for each of 3 points, got 1'),
        (dict(masks=[np.ones((4, 4), bool), None, None]), r'masks \(40, 48\) bool, got \(4, 4\)'),
        (dict(boxes=[(20, 20, 2, 2), None, None]), 'a bbox around the point'),
    ],
)
def test_masks_of_a_call_that_do_not_fit(segmenter, folder, given, message):
    segmenter.set_image(folder / 'JPEGImages' / 'img_1.jpg')
    with pytest.raises(ValueError, match=message):
        segmenter.predict(POINTS, LABELS, **given)
