"""A folder like one of own photographs: frame, points and void pixels of the comparison."""

import cv2
import numpy as np
import pytest

from mmp2seg.analysis.point_segmentation.evaluation import object_ious
from mmp2seg.analysis.point_segmentation.own_data import OwnDataReport, write_own_data
from mmp2seg.analysis.point_segmentation.truth_images import TruthImages, TruthSource
from mmp2seg.datasets import PointCocoDataset
from mmp2seg.evaluation.functional.truth_file import TruthFile, compare_files
from mmp2seg.files.index_png import read_index_png
from mmp2seg.files.json_reading import read_json_object
from mmp2seg.ops.rle import encode_rle


@pytest.fixture
def images(truth_folder):
    return TruthImages([TruthSource(truth_folder.path, truth_folder.images)], min_area=10)


@pytest.fixture
def written(images, tmp_path):
    return write_own_data(images, tmp_path / 'own'), tmp_path / 'own'


def test_images_maps_and_jsons_are_those_of_the_comparison(images, written):
    report, folder = written
    assert report == OwnDataReport(num_images=2, num_objects=3, num_void=2)
    for image, name in zip(images, ('1.png', '2.png')):
        pixels = cv2.cvtColor(cv2.imread(str(folder / 'images' / name)), cv2.COLOR_BGR2RGB)
        np.testing.assert_array_equal(pixels, image.image_rgb)
        np.testing.assert_array_equal(
            read_index_png(folder / 'true_maps' / name), image.semantic_map
        )
    points, truth = (
        read_json_object(folder / name, lists=('annotations',))
        for name in ('points.json', 'truth.json')
    )
    assert points['images'] == truth['images'] and len(points['images']) == 2
    assert points['categories'] == [dict(id=1, name='cat'), dict(id=2, name='dog')]
    assert [a['point'] for a in points['annotations']] == images[0].points_xy.tolist()
    assert [a['category_id'] for a in points['annotations']] == [1, 1, 2]
    assert 'segmentation' not in points['annotations'][0]
    assert [a['segmentation'] for a in truth['annotations']] == images[0].object_rles
    for entry, true_entry in zip(points['annotations'], truth['annotations']):
        assert entry.items() <= true_entry.items()


def test_the_points_are_those_of_a_point_dataset(written):
    _, folder = written
    dataset = PointCocoDataset(
        data_root=str(folder), ann_file='points.json', data_prefix=dict(img='images'), pipeline=[]
    )
    assert dataset.metainfo['classes'] == ('cat', 'dog')
    assert [entry['point_id'] for entry in dataset[0]['instances']] == [1, 2, 3]


def test_ious_agree_with_the_comparison_of_methods(images, written):
    _, folder = written
    image = images[0]
    instances = np.zeros(image.semantic_map.shape, np.int32)
    instances[20:90, 20:100] = 1
    instances[90:150, 200:340] = 3
    labels = read_json_object(folder / 'points.json', lists=('annotations',))
    labels['annotations'] = [
        {
            **labels['annotations'][k],
            'point_id': k + 1,
            'segmentation': encode_rle(instances == k + 1),
        }
        for k in (0, 2)
    ]
    ious, touching = compare_files(labels, TruthFile(folder / 'truth.json'), match='point_id')
    expected = object_ious(instances, image)
    assert 0 < expected[0] < 1 and expected[1] == 0 and 0 < expected[2] < 1
    np.testing.assert_allclose(ious, expected)
    assert touching.tolist() == image.object_touching.tolist()


def test_an_existing_folder_and_one_with_the_input_are_not_replaced(images, written, truth_folder):
    _, folder = written
    with pytest.raises(FileExistsError, match='not empty'):
        write_own_data(images, folder)
    write_own_data(images, folder, overwrite=True)
    with pytest.raises(ValueError, match='holds none of the input'):
        write_own_data(images, truth_folder.images, overwrite=True)
