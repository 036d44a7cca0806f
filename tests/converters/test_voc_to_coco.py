import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from mmp2seg.converters.voc_to_coco import voc_masks_to_coco
from mmp2seg.datasets.layouts import write_lines
from mmp2seg.files.index_png import write_palette_png

CLASSES = ('cat', 'dog', 'cow')
OBJECTS = np.array([[2, 2, 255, 5], [2, 255, 5, 5], [0, 0, 0, 0]], np.uint8)
SEMANTIC = np.array([[3, 3, 255, 1], [3, 255, 1, 1], [0, 0, 0, 0]], np.uint8)


@pytest.fixture
def voc_root(tmp_path):
    root = tmp_path / 'voc'
    for name, scale in (('2007_000032', 1), ('2007_000039', 0)):
        for folder, values in (('SegmentationObject', OBJECTS), ('SegmentationClass', SEMANTIC)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            write_palette_png(root / folder / f'{name}.png', values * np.uint8(scale))
    write_lines(root / 'ImageSets/Segmentation/val.txt', ['2007_000039', '2007_000032'])
    return root


def test_masks_boxes_and_categories(voc_root, tmp_path):
    path = tmp_path / 'new' / 'instances_val.json'
    report = voc_masks_to_coco(voc_root, path, classes=CLASSES)
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
        np.testing.assert_array_equal(truth.annToMask(annotation), number == OBJECTS)
        assert annotation['area'] == 3
        assert annotation['iscrowd'] == 0
        assert 'point' not in annotation
    assert (cow['bbox'], cat['bbox']) == ([0, 0, 2, 2], [2, 0, 2, 2])


def test_broken_maps_are_named_and_leave_the_old_file(voc_root, tmp_path):
    path = tmp_path / 'instances.json'
    path.write_text('old')
    with pytest.raises(ValueError, match=r'SegmentationClass/2007_000032\.png: .* 1\.\.2 .* got 3'):
        voc_masks_to_coco(voc_root, path, classes=CLASSES[:2])
    with pytest.raises(FileNotFoundError, match=r'test\.txt: no such image list'):
        voc_masks_to_coco(voc_root, path, classes=CLASSES, split='test')
    (voc_root / 'SegmentationObject/2007_000032.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'SegmentationObject/2007_000032\.png'):
        voc_masks_to_coco(voc_root, path, classes=CLASSES)
    assert path.read_text() == 'old'
    voc_root.joinpath('SegmentationObject/2007_000032.png').write_text('broken')
    with pytest.raises(ValueError, match=r'SegmentationObject/2007_000032\.png: expected a PNG'):
        voc_masks_to_coco(voc_root, tmp_path / 'other.json', classes=CLASSES)
    assert json.dumps([file.name for file in tmp_path.iterdir()]).count('json') == 1
