import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from mmp2seg.converters.voc_masks import convert_voc_masks, read_voc_objects, voc_masks_to_coco
from mmp2seg.datasets.point_voc import PointVOCDataset
from mmp2seg.datasets.voc_layout import write_lines
from mmp2seg.files.index_png import write_palette_png

CLASSES = ('cat', 'dog', 'cow')
# Two objects with void between them; the object numbers have a gap, as in VOC.
OBJECTS = np.array(
    [[1, 1, 255, 4, 4, 0], [1, 1, 255, 4, 4, 0], [1, 1, 255, 255, 4, 0], [0, 0, 0, 0, 0, 0]],
    np.uint8,
)
SEMANTIC = np.where(OBJECTS == 1, 3, np.where(OBJECTS == 4, 1, OBJECTS)).astype(np.uint8)


def add_image(root, name, objects, semantic):
    for folder, values in (('SegmentationObject', objects), ('SegmentationClass', semantic)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        write_palette_png(root / folder / f'{name}.png', values)
    (root / 'JPEGImages').mkdir(exist_ok=True)
    Image.new('RGB', objects.shape[::-1]).save(root / 'JPEGImages' / f'{name}.jpg')


@pytest.fixture
def voc_root(tmp_path):
    root = tmp_path / 'voc'
    add_image(root, '2007_000032', OBJECTS, SEMANTIC)
    add_image(root, '2007_000039', np.zeros_like(OBJECTS), np.zeros_like(SEMANTIC))
    write_lines(root / 'ImageSets/Segmentation/train.txt', ['2007_000032', '2007_000039'])
    write_lines(root / 'ImageSets/Segmentation/val.txt', ['2007_000032'])
    return root


def convert(voc_root, **kwargs):
    out_root = voc_root.parent / 'out'
    report = convert_voc_masks(voc_root, out_root, classes=CLASSES, **kwargs)
    return out_root, report


def test_objects_are_renumbered_and_have_the_class_of_their_pixels(voc_root):
    instance_map, labels = read_voc_objects(voc_root, '2007_000032', num_classes=3)
    np.testing.assert_array_equal(instance_map, np.where(OBJECTS == 4, 2, OBJECTS == 1))
    assert instance_map.dtype == np.int32
    assert labels.tolist() == [2, 0]


def test_files_of_a_conversion(voc_root):
    out_root, report = convert(voc_root)
    # Centres of mass: (1, 1.5) -> first of the nearest pixels; (4.1, 1.2) -> the pixel (4, 1).
    assert (out_root / 'Center_points/2007_000032.txt').read_text() == '0 1 2 1\n4 1 0 1\n'
    assert (out_root / 'Center_points/2007_000039.txt').read_text() == ''
    assert (out_root / 'train_cls.txt').read_text() == '2007_000032 0 2\n2007_000039\n'
    assert (out_root / 'ImageSets/Segmentation/train.txt').read_text() == (
        '2007_000032\n2007_000039\n'
    )
    assert (out_root / 'JPEGImages').is_symlink()
    assert (out_root / 'JPEGImages/2007_000032.jpg').is_file()
    assert (out_root / 'SegmentationClass/2007_000032.png').is_file()
    assert report.num_images == {'train': 2}
    assert report.num_objects == {'train': 2}


def test_truth_loads_and_agrees_with_the_maps(voc_root):
    out_root, _ = convert(voc_root)
    truth = COCO(out_root / 'annotations/instances_train.json')
    assert sorted(truth.imgs) == [2007000032, 2007000039]
    annotations = truth.imgToAnns[2007000032]
    for annotation, number in zip(annotations, (1, 4), strict=True):
        np.testing.assert_array_equal(truth.annToMask(annotation).astype(bool), number == OBJECTS)
    points = json.loads((out_root / 'annotations/points_train.json').read_text())
    assert [a['point'] for a in points['annotations']] == [[0.5, 1.5], [4.5, 1.5]]
    assert all('segmentation' not in a and 'bbox' not in a for a in points['annotations'])


def test_dataset_reads_the_result_with_the_ids_of_the_truth(voc_root):
    out_root, _ = convert(voc_root)
    dataset = PointVOCDataset(
        ann_file='ImageSets/Segmentation/train.txt',
        data_root=str(out_root),
        data_prefix=dict(img='JPEGImages', points='Center_points'),
        metainfo=dict(classes=CLASSES),
    )
    truth = json.loads((out_root / 'annotations/instances_train.json').read_text())
    assert len(dataset) == len(truth['images']) == 2
    for i, image in enumerate(truth['images']):
        info = dataset.get_data_info(i)
        assert info['img_id'] == image['id']
        assert [instance['point'] for instance in info['instances']] == [
            a['point'] for a in truth['annotations'] if a['image_id'] == image['id']
        ]


def test_random_points_are_inside_and_repeat_with_the_seed(voc_root):
    def points(name, seed):
        out_root = voc_root.parent / name
        convert_voc_masks(voc_root, out_root, classes=CLASSES, point='random', seed=seed)
        return (out_root / 'Center_points/2007_000032.txt').read_text()

    texts = {points(f'seed{seed}', seed) for seed in range(6)}
    assert len(texts) > 1
    assert points('again', 3) == points('seed3b', 3)
    for text in texts:
        for line, number in zip(text.splitlines(), (1, 4), strict=True):
            x, y = map(int, line.split()[:2])
            assert OBJECTS[y, x] == number


def test_several_splits_and_copies(voc_root):
    out_root, report = convert(voc_root, splits=('train', 'val'), copy=True)
    assert report.num_images == {'train': 2, 'val': 1}
    assert not (out_root / 'JPEGImages').is_symlink()
    assert (out_root / 'train_cls.txt').read_text().count('\n') == 2
    for split in ('train', 'val'):
        assert (out_root / f'annotations/points_{split}.json').is_file()


def test_existing_output_is_kept(voc_root):
    convert(voc_root)
    with pytest.raises(FileExistsError, match='not empty'):
        convert(voc_root)
    convert(voc_root, overwrite=True)


@pytest.mark.parametrize(
    ('objects', 'semantic', 'message'),
    [
        (OBJECTS, SEMANTIC[:2], r'SegmentationObject.*bad.png: .*\(2, 6\), got \(4, 6\)'),
        (OBJECTS, np.where(SEMANTIC == 3, 9, SEMANTIC), 'bad.png: .* 1..3 for object 1, got 9'),
        (OBJECTS, np.where(SEMANTIC == 1, 0, SEMANTIC), 'bad.png: .* object 4, got background'),
    ],
)
def test_maps_that_disagree_name_the_file(voc_root, objects, semantic, message):
    add_image(voc_root, 'bad', objects, semantic.astype(np.uint8))
    write_lines(voc_root / 'ImageSets/Segmentation/train.txt', ['2007_000032', 'bad'])
    with pytest.raises(ValueError, match=message):
        convert(voc_root)
    assert not (voc_root.parent / 'out').exists()


def test_missing_files_are_named(voc_root):
    with pytest.raises(FileNotFoundError, match='test.txt: no such image list'):
        convert(voc_root, splits=('test',))
    (voc_root / 'SegmentationClass/2007_000039.png').unlink()
    with pytest.raises(FileNotFoundError, match='SegmentationClass/2007_000039.png'):
        convert(voc_root)
    (voc_root / 'JPEGImages/2007_000032.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='JPEGImages/2007_000032.jpg'):
        convert(voc_root)
    with pytest.raises(ValueError, match="got 'corner'"):
        convert(voc_root, point='corner')


COCO_OBJECTS = np.array([[2, 2, 255, 5], [2, 255, 5, 5], [0, 0, 0, 0]], np.uint8)
COCO_SEMANTIC = np.array([[3, 3, 255, 1], [3, 255, 1, 1], [0, 0, 0, 0]], np.uint8)


@pytest.fixture
def val_root(tmp_path):
    root = tmp_path / 'voc'
    add_image(root, '2007_000032', COCO_OBJECTS, COCO_SEMANTIC)
    add_image(root, '2007_000039', np.zeros_like(COCO_OBJECTS), np.zeros_like(COCO_SEMANTIC))
    write_lines(root / 'ImageSets/Segmentation/val.txt', ['2007_000039', '2007_000032'])
    return root


def test_instance_json_has_masks_boxes_and_categories(val_root, tmp_path):
    path = tmp_path / 'new' / 'instances_val.json'
    report = voc_masks_to_coco(val_root, path, classes=CLASSES)
    assert (report.num_images, report.num_objects) == (2, {'cat': 1, 'dog': 0, 'cow': 1})
    truth = COCO(path)
    assert [(c['id'], c['name']) for c in truth.dataset['categories']] == [
        (1, 'cat'),
        (2, 'dog'),
        (3, 'cow'),
    ]
    assert truth.dataset['images'] == [
        dict(id=2007000039, file_name='2007_000039.jpg', height=3, width=4),
        dict(id=2007000032, file_name='2007_000032.jpg', height=3, width=4),
    ]
    cow, cat = truth.dataset['annotations']
    assert (cow['category_id'], cat['category_id']) == (3, 1)
    assert {cow['image_id'], cat['image_id']} == {2007000032}
    for annotation, number in ((cow, 2), (cat, 5)):
        np.testing.assert_array_equal(truth.annToMask(annotation), number == COCO_OBJECTS)
        assert annotation['area'] == 3
        assert annotation['iscrowd'] == 0
        assert 'point' not in annotation
    assert (cow['bbox'], cat['bbox']) == ([0, 0, 2, 2], [2, 0, 2, 2])


def test_broken_maps_leave_the_old_instance_json(val_root, tmp_path):
    path = tmp_path / 'instances.json'
    path.write_text('old')
    with pytest.raises(ValueError, match=r'SegmentationClass/2007_000032\.png: .* 1\.\.2 .* got 3'):
        voc_masks_to_coco(val_root, path, classes=CLASSES[:2])
    with pytest.raises(FileNotFoundError, match=r'test\.txt: no such image list'):
        voc_masks_to_coco(val_root, path, classes=CLASSES, split='test')
    (val_root / 'SegmentationObject/2007_000032.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'SegmentationObject/2007_000032\.png'):
        voc_masks_to_coco(val_root, path, classes=CLASSES)
    assert path.read_text() == 'old'
    val_root.joinpath('SegmentationObject/2007_000032.png').write_text('broken')
    with pytest.raises(ValueError, match=r'SegmentationObject/2007_000032\.png: expected a PNG'):
        voc_masks_to_coco(val_root, tmp_path / 'other.json', classes=CLASSES)
    assert json.dumps([file.name for file in tmp_path.iterdir()]).count('json') == 1


def test_no_object_at_all_is_an_error(voc_root, tmp_path):
    write_lines(voc_root / 'ImageSets/Segmentation/none.txt', ['2007_000039'])
    message = 'voc, none: expected an object, got none in 1 images .--allow-empty'
    with pytest.raises(ValueError, match=message):
        convert(voc_root, splits=['none'])
    assert not (tmp_path / 'out').exists()
    assert convert(voc_root, splits=['none'], allow_empty=True)[1].num_objects == {'none': 0}
    out = tmp_path / 'i.json'
    with pytest.raises(ValueError, match=message):
        voc_masks_to_coco(voc_root, out, classes=CLASSES, split='none')
    assert not out.exists()
    voc_masks_to_coco(voc_root, out, classes=CLASSES, split='none', allow_empty=True)
