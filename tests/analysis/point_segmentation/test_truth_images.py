"""Points, objects and void pixels of a truth json, at the size of the comparison."""

import cv2
import numpy as np
import pytest

from mmp2seg.analysis.point_segmentation.truth_images import (
    TruthImages,
    TruthSource,
    frame_size,
)
from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import decode_rle

from .conftest import TruthFolder


def source(truth, points=None):
    return TruthSource(truth.path, truth.images, points)


def test_objects_points_and_void_pixels(truth_folder):
    images = TruthImages([source(truth_folder)], long_side=0, min_area=10)
    assert images.classes == ['cat', 'dog'] and len(images) == 2
    image = images[0]
    assert image.name == 'a/1.png' and 'image 1' in image.place
    # even sides have no middle pixel: the first of the nearest ones
    assert image.points_xy.tolist() == [[5.5, 5.5], [13.5, 5.5], [28.5, 13.5]]
    assert image.labels.tolist() == [0, 0, 1] and image.background_xy.shape == (0, 2)
    assert image.object_points.tolist() == [0, 1, 2]
    assert image.object_labels.tolist() == [0, 0, 1]
    assert image.object_touching.tolist() == [True, True, False]
    assert image.num_void == 2
    expected = np.zeros((20, 40), int)
    expected[0:12, 30:40] = 255  # the crowd
    expected[18:20, 0:2] = 255  # the small object
    expected[2:10, 2:18] = 1
    expected[10:18, 20:38] = 2  # an object covers the crowd
    np.testing.assert_array_equal(image.semantic_map, expected)


def test_the_small_object_counts_without_a_minimum_and_ignore_does_not(truth_folder):
    truth_folder.content['annotations'][2]['ignore'] = 1
    images = TruthImages([source(truth_folder.write())], long_side=0)
    image = images[0]
    assert image.object_labels.tolist() == [0, 0, 0] and image.num_void == 2
    assert image.points_xy[2].tolist() == [0.5, 18.5]
    assert (image.semantic_map[12:18, 20:38] == 255).all()


def test_an_image_without_objects(truth_folder):
    image = TruthImages([source(truth_folder)])[1]
    assert image.points_xy.shape == (0, 2) and image.object_rles == []
    assert image.object_touching.shape == (0,)
    assert not image.semantic_map.any()


def test_everything_is_resized_before_points_are_drawn(truth_folder):
    images = TruthImages([source(truth_folder)], long_side=80, min_area=10)
    image = images[0]
    assert image.image_rgb.shape == (40, 80, 3)
    np.testing.assert_array_equal(
        decode_rle(image.object_rles[0]),
        np.pad(np.ones((16, 16), bool), ((4, 20), (4, 60))),
    )
    assert image.points_xy[0].tolist() == [11.5, 11.5]
    # the minimum is in pixels of the file: 4, not 16
    assert image.num_void == 2


def test_an_object_that_vanishes_is_void(truth_folder):
    image = TruthImages([source(truth_folder)], long_side=4)[0]
    assert image.semantic_map.shape == (2, 4)
    assert len(image.object_rles) + image.num_void == 5
    assert all(decode_rle(rle).any() for rle in image.object_rles)
    assert image.num_void > 1


def test_frame_size():
    assert frame_size(600, 800, long_side=352) == (264, 352)
    assert frame_size(800, 600, long_side=352) == (352, 264)
    assert frame_size(256, 256, long_side=352) == (352, 352)
    assert frame_size(3, 1000, long_side=100) == (1, 100)
    assert frame_size(3, 1000, long_side=0) == (3, 1000)


def test_images_are_rgb_and_enlarged_or_reduced(truth_folder):
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[..., 0] = 250  # blue for OpenCV
    cv2.imwrite(str(truth_folder.images / '2.png'), pixels)
    for long_side in (0, 20, 80):
        image = TruthImages([source(truth_folder)], long_side=long_side)[1]
        assert image.image_rgb[3, 3].tolist() == [0, 0, 250]


def test_classes_of_several_files_are_merged_by_name(truth_folder, tmp_path):
    other = TruthFolder(tmp_path / 'other')
    other.content['categories'] = [dict(id=1, name='dog'), dict(id=2, name='horse')]
    other.add_image(1, 'b.png')
    other.add(1, 1, (0, 0, 5, 5))
    other.add(1, 2, (10, 0, 15, 5))
    images = TruthImages([source(truth_folder), source(other.write())], long_side=0)
    assert images.classes == ['cat', 'dog', 'horse']
    assert [image.name for image in images] == ['a/1.png', '2.png', 'b.png']
    assert images[2].labels.tolist() == [1, 2]


def write_points(path, annotations, *, categories=('dog', 'cat', 'background')):
    content = dict(
        images=[dict(id=number, file_name=f'{number}.png') for number in (1, 2)],
        categories=[dict(id=k, name=name) for k, name in enumerate(categories)],
        annotations=[
            dict(id=number, image_id=1, category_id=category, point=point)
            for number, category, point in annotations
        ],
    )
    write_json(path, content)
    return path


def test_points_of_a_file_belong_to_objects_by_id(truth_folder, tmp_path):
    points = write_points(
        tmp_path / 'points.json',
        [(3, 0, [30, 15]), (1, 1, [4, 5.5]), (99, 1, [39, 19]), (98, 2, [1, 1])],
    )
    images = TruthImages([source(truth_folder, points)], long_side=80, min_area=10)
    image = images[0]
    assert image.points_xy.tolist() == [[60, 30], [8, 11], [78, 38]]
    assert image.labels.tolist() == [1, 0, 0]
    assert image.background_xy.tolist() == [[2, 2]]
    assert image.object_points.tolist() == [1, -1, 0]  # the second object has no point
    assert images[1].points_xy.shape == (0, 2)


@pytest.mark.parametrize(
    ('annotation', 'categories', 'message'),
    [
        ((1, 0, [40.5, 5]), ('cat',), 'annotation 1: expected a point inside the image of 40 x 20'),
        ((1, 0, [4, 5]), ('horse',), "annotation 1: expected a class of the truth, got 'horse'"),
        ((1, 0, 'x'), ('cat',), 'annotation 1: expected a point of two finite numbers'),
    ],
)
def test_wrong_points_are_refused(truth_folder, tmp_path, annotation, categories, message):
    points = write_points(tmp_path / 'points.json', [annotation], categories=categories)
    images = TruthImages([source(truth_folder, points)])
    with pytest.raises(ValueError, match=f'points.json: {message}'):
        images[0]


def test_a_point_on_the_edge_is_on_the_last_pixel(truth_folder, tmp_path):
    points = write_points(tmp_path / 'points.json', [(3, 0, [40, 20])], categories=('cat',))
    image = TruthImages([source(truth_folder, points)])[0]
    assert np.floor(image.points_xy).tolist() == [[351, 175]]  # of 352 x 176


def test_wrong_images_are_refused(truth_folder):
    images = TruthImages([source(truth_folder)])
    path = truth_folder.images / '2.png'
    cv2.imwrite(str(path), np.zeros((5, 6, 3), np.uint8))
    with pytest.raises(ValueError, match='2.png: expected 40 x 20 pixels as in the json, got 6 x'):
        images[1]
    path.write_bytes(b'no image')
    with pytest.raises(ValueError, match='2.png: expected an image'):
        images[1]
    path.unlink()
    with pytest.raises(FileNotFoundError, match='2.png: no such file'):
        images[1]


def test_no_source_and_no_class(truth_folder):
    with pytest.raises(ValueError, match='expected a COCO json with its folder of images'):
        TruthImages([])
    truth_folder.content.update(categories=[], annotations=[])
    with pytest.raises(ValueError, match=r'truth.json: expected 1..254 classes, got 0'):
        TruthImages([source(truth_folder.write())])


def test_names_for_one_folder(truth_folder, tmp_path):
    one = TruthImages([source(truth_folder)])
    assert one.unique_stems == ['1', '2']
    assert one.files == [truth_folder.path, truth_folder.images]
    other = TruthFolder(tmp_path / 'other')
    other.add_image(1, '2.jpg')
    both = TruthImages([source(truth_folder), source(other.write())])
    assert both.unique_stems == ['0001_1', '0002_2', '0003_2']
