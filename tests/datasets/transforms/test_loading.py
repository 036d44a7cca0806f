import numpy as np
import pytest
from PIL import Image

from mmp2seg.datasets.transforms import LoadPointAnnotations
from mmp2seg.datasets.transforms.loading import read_semantic_map
from mmp2seg.ops.coords import points_to_pixels
from mmp2seg.ops.rle import encode_rle
from mmp2seg.structures import PointBoxes

INSTANCES = [
    dict(point=[0.0, 0.0], bbox_label=1, point_id=5),
    dict(point=[5.5, 3.5], bbox_label=0, point_id=8),
]


@pytest.fixture
def results(tmp_path):
    path = tmp_path / 'map.png'
    semantic_map = np.zeros((4, 6), dtype=np.uint8)
    semantic_map[1] = 2
    semantic_map[2] = 255
    image = Image.fromarray(semantic_map, mode='P')
    image.putpalette(list(range(256)) * 3)
    image.save(path)
    return dict(
        img_path='photo.jpg',
        img_shape=(4, 6),
        instances=INSTANCES,
        seg_map_path=str(path),
        points_path='points.txt',
        num_classes=2,
    )


def test_points_labels_ids_and_map(results):
    loaded = LoadPointAnnotations()(results)
    assert isinstance(loaded['gt_bboxes'], PointBoxes)
    assert loaded['gt_bboxes'].tensor.tolist() == [[0, 0], [5.5, 3.5]]
    assert loaded['gt_bboxes_labels'].tolist() == [1, 0]
    assert loaded['gt_instances_ids'].tolist() == [5, 8]
    assert loaded['gt_seg_map'].dtype == np.uint8
    assert loaded['gt_seg_map'][:, 0].tolist() == [0, 2, 255, 0]


@pytest.mark.parametrize('x', [499.99999, 500 - 1e-12, 0.0])
def test_a_point_inside_in_float64_stays_inside_in_float32(x):
    instances = [dict(point=[x, 3.1], bbox_label=0, point_id=1)]
    results = dict(img_path='photo.jpg', img_shape=(8, 500), instances=instances)
    loaded = LoadPointAnnotations(with_seg=False)(results)
    assert loaded['gt_bboxes'].is_inside((8, 500)).all()
    assert int(loaded['gt_bboxes'].tensor[0, 0]) == int(x)
    assert loaded['ori_points'].points.tolist() == [[x, 3.1]]


def test_background_clicks_are_left_alone(results):
    clicks = [[1.5, 0.5], [99.0, 0.0]]
    loaded = LoadPointAnnotations()({**results, 'background_points': clicks})
    assert loaded['background_points'] == [[1.5, 0.5], [99.0, 0.0]]
    assert loaded['gt_bboxes'].tensor.tolist() == [[0, 0], [5.5, 3.5]]


def test_an_image_without_points(results):
    loaded = LoadPointAnnotations()({**results, 'instances': []})
    assert loaded['gt_bboxes'].tensor.shape == (0, 2)
    assert loaded['gt_bboxes_labels'].dtype == np.int64


def test_a_grey_map_reads_like_a_palette_map(results, tmp_path):
    grey = read_semantic_map(results['seg_map_path'])
    Image.fromarray(grey).save(tmp_path / 'grey.png')
    assert np.array_equal(read_semantic_map(str(tmp_path / 'grey.png')), grey)


@pytest.mark.parametrize('point', [[6.5, 1.0], [1.0, 4.5], [-0.5, 1.0]])
def test_a_point_outside_names_file_point_and_image(results, point):
    instances = [INSTANCES[0], dict(point=point, bbox_label=0, point_id=8)]
    message = r'points\.txt: expected points inside the 6 x 4 image photo\.jpg, got point 8 at \('
    with pytest.raises(ValueError, match=message):
        LoadPointAnnotations()({**results, 'instances': instances})
    loaded = LoadPointAnnotations(allow_outside=True)({**results, 'instances': instances})
    assert loaded['gt_bboxes'].tensor[1].tolist() == point


@pytest.mark.parametrize('point', [[6, 1], [1, 4], [6, 4]])
def test_a_point_on_the_edge_is_on_the_last_pixel(results, point):
    instances = [INSTANCES[0], dict(point=point, bbox_label=0, point_id=8)]
    loaded = LoadPointAnnotations()({**results, 'instances': instances})
    pixel = [min(point[1], 3), min(point[0], 5)]
    assert points_to_pixels(loaded['ori_points'].points)[1].tolist() == pixel
    assert loaded['gt_bboxes'].tensor[1].floor().tolist() == pixel[::-1]
    assert loaded['gt_bboxes'].is_inside((4, 6)).all()


def test_inference_needs_no_map(results):
    loaded = LoadPointAnnotations(with_seg=False)({**results, 'seg_map_path': None})
    assert 'gt_seg_map' not in loaded


def test_no_folder_of_maps(results):
    with pytest.raises(ValueError, match=r"photo\.jpg: expected a weak semantic map.*'seg_map'"):
        LoadPointAnnotations()({**results, 'seg_map_path': None})


def test_missing_map(results):
    with pytest.raises(FileNotFoundError, match=r'gone\.png: the semantic map does not exist'):
        LoadPointAnnotations()({**results, 'seg_map_path': 'gone.png'})


def test_map_of_another_size(results):
    with pytest.raises(ValueError, match=r'map\.png: expected a map of 7 x 4 .* got 6 x 4'):
        LoadPointAnnotations()({**results, 'img_shape': (4, 7)})


@pytest.mark.parametrize('size', [(8, 12), (2, 3), (6, 9)])
def test_a_map_of_the_same_shape_is_resized_on_request(results, size):
    image = {**results, 'img_shape': size}
    message = r'map\.png: .* photo\.jpg, got 6 x 4 \(the aspect ratio agrees: .*resize_seg_map=True'
    with pytest.raises(ValueError, match=message):
        LoadPointAnnotations(allow_outside=True)(image)
    loaded = LoadPointAnnotations(allow_outside=True, resize_seg_map=True)(image)['gt_seg_map']
    assert loaded.shape == size and loaded.dtype == np.uint8
    assert set(np.unique(loaded)) <= {0, 2, 255}
    if size == (8, 12):
        assert loaded[:, 0].tolist() == [0, 0, 2, 2, 255, 255, 0, 0]
    with pytest.raises(ValueError, match=r'map\.png: expected 0 .* got 2'):
        LoadPointAnnotations(allow_outside=True, resize_seg_map=True)({**image, 'num_classes': 1})


@pytest.mark.parametrize('resize', [False, True])
def test_a_map_of_another_shape_is_never_resized(results, resize):
    transform = LoadPointAnnotations(resize_seg_map=resize)
    message = r'map\.png: expected a map of 12 x 12 like .*photo\.jpg, got 6 x 4 \(the aspect'
    with pytest.raises(ValueError, match=message):
        transform({**results, 'img_shape': (12, 12)})


def test_a_map_of_the_images_size_stays_as_it_is(results):
    loaded = [LoadPointAnnotations(resize_seg_map=value)(dict(results)) for value in (False, True)]
    assert np.array_equal(loaded[0]['gt_seg_map'], loaded[1]['gt_seg_map'])
    assert 'resize_seg_map=True' in repr(LoadPointAnnotations(resize_seg_map=True))


def test_map_with_a_value_that_is_no_class(results):
    with pytest.raises(ValueError, match=r'map\.png: expected 0 .* 1\.\.1 .* or 255 .*, got 2'):
        LoadPointAnnotations()({**results, 'num_classes': 1})


def test_corrupt_and_truncated_maps(results, tmp_path):
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'broken\.png: expected a PNG image'):
        LoadPointAnnotations()({**results, 'seg_map_path': str(broken)})
    with open(results['seg_map_path'], 'rb') as file:
        data = file.read()
    broken.write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r'broken\.png: expected a PNG image'):
        LoadPointAnnotations()({**results, 'seg_map_path': str(broken)})


def test_colour_map(results, tmp_path):
    path = tmp_path / 'colour.png'
    Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8)).save(path)
    with pytest.raises(ValueError, match=r'colour\.png: expected a palette or grey .*got RGB'):
        LoadPointAnnotations()({**results, 'seg_map_path': str(path)})


def test_another_size_than_the_file_states_is_named(results):
    assert LoadPointAnnotations()({**results, 'height': 4, 'width': 6})['gt_seg_map'].any()
    message = r'^photo\.jpg: expected 4 x 6 pixels \(width x height\) as in points\.txt, got 6 x 4$'
    with pytest.raises(ValueError, match=message):
        LoadPointAnnotations()({**results, 'height': 6, 'width': 4})


MASKED = [
    dict(INSTANCES[0], supervision='mask', mask=encode_rle(np.eye(4, 6, dtype=bool))),
    dict(INSTANCES[1], supervision='box', mask=encode_rle(np.ones((4, 6), bool))),
    dict(point=[1.5, 1.5], bbox_label=0, point_id=9),
]


def test_true_masks_are_loaded_and_drawn_into_the_map(results):
    loaded = LoadPointAnnotations()({**results, 'instances': MASKED})
    masks = loaded['gt_masks'].masks
    assert [mask.sum() for mask in masks] == [4, 24, 0]
    # the class of the first is 1
    assert loaded['gt_seg_map'][:, 0].tolist() == [2, 2, 255, 0]
    assert loaded['gt_seg_map'][2].tolist() == [255, 255, 2, 255, 255, 255]
    assert loaded['ori_points'].supervision == ['mask', 'box', 'point']
    complete = LoadPointAnnotations()({**results, 'instances': MASKED[:1], 'complete': True})
    assert complete['gt_seg_map'][1].tolist() == [0, 2, 0, 0, 0, 0]


def test_points_alone_load_no_masks(results):
    loaded = LoadPointAnnotations()(results)
    assert 'gt_masks' not in loaded and 'supervision' not in loaded['ori_points']


def test_a_mask_of_another_size_than_its_image(results):
    instances = [dict(MASKED[0], mask=encode_rle(np.ones((4, 5), bool)))]
    with pytest.raises(ValueError, match=r'points.txt: point 5: .* 6 x 4 .* photo.jpg, got 5 x 4'):
        LoadPointAnnotations(with_seg=False)({**results, 'instances': instances})
