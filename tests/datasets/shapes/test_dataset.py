import filecmp
import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from mmp2seg.datasets.shapes.dataset import SHAPES_CLASSES, generate_scene, write_shapes
from mmp2seg.files.index_png import read_index_png

SIZE = (64, 80)
NUMBERS = dict(num_train=8, num_val=3, size=SIZE, seed=5)


@pytest.fixture(scope='module')
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shapes')
    reports = {
        layout: write_shapes(folder / layout, layout=layout, **NUMBERS)
        for layout in ('voc', 'coco')
    }
    assert reports['voc'] == reports['coco']
    return folder / 'voc', folder / 'coco', reports['voc']


def load(root, kind, split):
    return json.loads((root / 'annotations' / f'{kind}_{split}.json').read_text())


@pytest.mark.parametrize('split', ['train', 'val'])
def test_layouts_agree(roots, split):
    voc, coco, _ = roots
    for kind in ('points', 'instances'):
        assert load(voc, kind, split) == load(coco, kind, split)
    names = (voc / 'ImageSets/Segmentation' / f'{split}.txt').read_text().split()
    assert [image['file_name'] for image in load(coco, 'points', split)['images']] == [
        f'{name}.jpg' for name in names
    ]
    for name in names:
        assert filecmp.cmp(
            voc / 'JPEGImages' / f'{name}.jpg', coco / split / f'{name}.jpg', shallow=False
        )
        assert filecmp.cmp(
            voc / 'WSSS_maps' / f'{name}.png',
            coco / 'semantic_maps' / split / f'{name}.png',
            shallow=False,
        )
    assert sorted(path.stem for path in (coco / split).iterdir()) == sorted(names)


@pytest.mark.parametrize('split', ['train', 'val'])
def test_point_files_and_jsons_agree(roots, split):
    voc, _, _ = roots
    points, truth = load(voc, 'points', split), load(voc, 'instances', split)
    assert points['images'] == truth['images']
    assert points['categories'] == [
        dict(id=i + 1, name=name) for i, name in enumerate(SHAPES_CLASSES)
    ]
    assert [set(a) for a in points['annotations']] == [
        {'id', 'image_id', 'category_id', 'point'}
    ] * len(points['annotations'])
    keys = ('id', 'image_id', 'category_id', 'point')
    assert points['annotations'] == [{k: a[k] for k in keys} for a in truth['annotations']]
    for image in points['images']:
        lines = (voc / 'Center_points' / f'{image["file_name"][:-4]}.txt').read_text().splitlines()
        expected = [a for a in points['annotations'] if a['image_id'] == image['id']]
        assert [line.split() for line in lines] == [
            [*(f'{v - 0.5:g}' for v in a['point']), str(a['category_id'] - 1), '1']
            for a in expected
        ]


@pytest.mark.parametrize('split', ['train', 'val'])
def test_truth_agrees_with_the_scenes_and_the_maps(roots, split):
    voc, _, _ = roots
    truth = COCO(voc / 'annotations' / f'instances_{split}.json')
    assert len(truth.imgs) == NUMBERS[f'num_{split}']
    for image_id, image in truth.imgs.items():
        scene = generate_scene(image_id, seed=5, size=SIZE)
        name = image['file_name'][:-4]
        assert (image['height'], image['width']) == SIZE
        assert Image.open(voc / 'JPEGImages' / image['file_name']).size == SIZE[::-1]
        np.testing.assert_array_equal(
            read_index_png(voc / 'SegmentationClass' / f'{name}.png'), scene.semantic_map
        )
        np.testing.assert_array_equal(
            read_index_png(voc / 'WSSS_maps' / f'{name}.png'), scene.weak_map
        )
        annotations = truth.imgToAnns[image_id]
        assert len(annotations) == len(scene.labels)
        for i, annotation in enumerate(annotations):
            mask = truth.annToMask(annotation).astype(bool)
            np.testing.assert_array_equal(mask, scene.instance_map == i + 1)
            assert annotation['area'] == mask.sum()
            assert annotation['category_id'] == scene.labels[i] + 1
            x, y = annotation['point']
            assert mask[int(y), int(x)]


def test_image_keeps_its_channel_order(roots):
    voc, _, _ = roots
    scene = generate_scene(0, seed=5, size=SIZE)
    rgb_means = np.array(Image.open(voc / 'JPEGImages' / '0000000.jpg')).mean((0, 1))
    bgr_means = scene.image.mean((0, 1))
    assert np.ptp(bgr_means) > 10  # swapped channels would be visible in this scene
    np.testing.assert_allclose(rgb_means[::-1], bgr_means, atol=2)


def test_class_list_has_every_image(roots):
    voc, _, _ = roots
    lines = (voc / 'train_cls.txt').read_text().splitlines()
    assert len(lines) == 11
    for line in lines:
        name, *classes = line.split()
        scene = generate_scene(int(name), seed=5, size=SIZE)
        assert [int(c) for c in classes] == sorted(set(scene.labels))


def test_report_counts(roots):
    voc, _, report = roots
    truth = load(voc, 'instances', 'train')
    assert report.train.num_images == 8
    assert report.val.num_images == 3
    assert report.train.num_objects == len(truth['annotations'])
    assert 0 <= report.train.num_touching <= report.train.num_objects
    with_objects = {a['image_id'] for a in truth['annotations']}
    assert report.train.num_empty == 8 - len(with_objects)
    assert 0.3 < report.train.weak_miou < 1


def test_a_split_does_not_depend_on_the_other(roots, tmp_path):
    voc, _, _ = roots
    write_shapes(tmp_path / 'small', num_train=2, num_val=3, size=SIZE, seed=5)
    assert load(tmp_path / 'small', 'instances', 'val') == load(voc, 'instances', 'val')


def test_no_images_at_all(tmp_path):
    report = write_shapes(tmp_path / 'none', num_train=0, num_val=0)
    assert report.train.num_images == 0
    assert np.isnan(report.train.weak_miou)
    assert load(tmp_path / 'none', 'points', 'train')['images'] == []


def test_interrupted_writing_leaves_nothing(tmp_path):
    def interrupt(indices):
        yield indices[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shapes(tmp_path / 'data', num_train=2, num_val=0, size=SIZE, track=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_existing_data_is_kept_unless_overwritten(tmp_path):
    (tmp_path / 'mine.txt').write_text('keep')
    with pytest.raises(FileExistsError, match='not empty'):
        write_shapes(tmp_path, num_train=1, num_val=0, size=SIZE)
    assert [path.name for path in tmp_path.iterdir()] == ['mine.txt']


def test_wrong_arguments_are_errors(tmp_path):
    with pytest.raises(ValueError, match="got 'yolo'"):
        write_shapes(tmp_path / 'a', layout='yolo')
    with pytest.raises(ValueError, match='got -1 and 0'):
        write_shapes(tmp_path / 'a', num_train=-1, num_val=0)
