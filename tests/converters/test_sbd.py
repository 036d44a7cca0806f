import struct

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mmp2seg.converters.sbd import find_sbd, merge_lists, merge_sbd, read_sbd_maps
from mmp2seg.converters.voc_masks import convert_voc_masks, read_voc_objects
from mmp2seg.datasets.voc_layout import write_lines
from mmp2seg.files.index_png import read_index_png, write_palette_png

CLASSES = ('cat', 'dog', 'cow')
OBJECTS = np.array([[1, 1, 0, 2, 2], [1, 1, 0, 3, 3], [0, 0, 0, 3, 3]], np.uint8)
CATEGORIES = [3, 1, 3]
SEMANTIC = np.array([0, *CATEGORIES], np.uint8)[OBJECTS]


def write_image(path, shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', shape[::-1]).save(path)


def write_sbd(root, name, *, objects=OBJECTS, semantic=SEMANTIC, categories=CATEGORIES):
    """Write SBD's files: a struct with the maps, the categories as a column, and boundaries."""
    for part in ('inst', 'cls'):
        (root / part).mkdir(parents=True, exist_ok=True)
    boundaries = np.zeros((len(categories), 1), object)
    inst = dict(
        Segmentation=objects, Boundaries=boundaries, Categories=np.uint8(categories)[:, None]
    )
    savemat(root / 'inst' / f'{name}.mat', {'GTinst': inst})
    savemat(root / 'cls' / f'{name}.mat', {'GTcls': dict(Segmentation=semantic)})
    write_image(root / 'img' / f'{name}.jpg', objects.shape)


def write_voc(root, name, *, value=1):
    for part in ('SegmentationObject', 'SegmentationClass'):
        (root / part).mkdir(parents=True, exist_ok=True)
        write_palette_png(root / part / f'{name}.png', np.full((3, 5), value, np.uint8))
    write_image(root / 'JPEGImages' / f'{name}.jpg', (3, 5))


@pytest.fixture
def roots(tmp_path):
    """Make VOC with a train and a val image, and SBD with both of them and two more."""
    voc, sbd = tmp_path / 'voc', tmp_path / 'benchmark' / 'dataset'
    for name in ('2007_1', '2007_2'):
        write_voc(voc, name)
    write_image(voc / 'JPEGImages/2008_1.jpg', (3, 5))
    write_lines(voc / 'ImageSets/Segmentation/train.txt', ['2007_1'])
    write_lines(voc / 'ImageSets/Segmentation/val.txt', ['2007_2'])
    write_lines(voc / 'ImageSets/Main/cat_train.txt', ['2007_1  1'])
    (voc / 'WSSS_maps').mkdir()
    for name in ('2007_1', '2007_2', '2008_1', '2008_2'):
        write_sbd(sbd, name)
    write_lines(sbd / 'train.txt', ['2008_2', '2007_2'])
    write_lines(sbd / 'val.txt', ['2007_1', '2008_1'])
    return voc, sbd


def merge(roots, **options):
    out_root = roots[0].parent / 'out'
    return out_root, merge_sbd(*roots, out_root, num_classes=3, **options)


def test_maps_of_an_image(roots):
    object_map, class_map, differs = read_sbd_maps(roots[1], '2008_1', num_classes=3)
    np.testing.assert_array_equal(object_map, OBJECTS)
    np.testing.assert_array_equal(class_map, SEMANTIC)
    assert (object_map.dtype, class_map.dtype, differs) == (np.uint8, np.uint8, False)


def test_an_image_with_a_single_object_and_one_without(roots):
    write_sbd(roots[1], 'one', objects=OBJECTS * (OBJECTS == 1), categories=[2])
    object_map, class_map, differs = read_sbd_maps(roots[1], 'one', num_classes=3)
    np.testing.assert_array_equal(object_map, OBJECTS == 1)
    assert (class_map[0, 0], class_map[1, 3], differs) == (2, 3, True)
    zeros = np.zeros_like(OBJECTS)
    write_sbd(roots[1], 'none', objects=zeros, semantic=zeros, categories=[])
    object_map, class_map, differs = read_sbd_maps(roots[1], 'none', num_classes=3)
    assert not object_map.any() and not class_map.any() and not differs


def test_void_stays_void(roots):
    void = np.where(OBJECTS == 2, 255, OBJECTS).astype(np.uint8)
    semantic = np.where(OBJECTS == 2, 255, SEMANTIC).astype(np.uint8)
    write_sbd(roots[1], 'void', objects=void, semantic=semantic)
    object_map, class_map, differs = read_sbd_maps(roots[1], 'void', num_classes=3)
    np.testing.assert_array_equal(object_map, void)
    np.testing.assert_array_equal(class_map, semantic)
    assert not differs


def test_lists_are_merged_without_the_images_of_val():
    merged = merge_lists(['b', 'a'], ['v', 'w'], ['c', 'v', 'a'], ['w', 'd', 'c'])
    assert merged == ['b', 'a', 'c', 'd']


def test_the_merged_folder(roots):
    out_root, report = merge(roots)
    lists = out_root / 'ImageSets/Segmentation'
    assert (lists / 'train_aug.txt').read_text() == '2007_1\n2008_2\n2008_1\n'
    assert (lists / 'val.txt').read_text() == '2007_2\n'
    assert (lists / 'train.txt').read_text() == '2007_1\n'
    assert (out_root / 'ImageSets/Main/cat_train.txt').is_file()
    assert (out_root / 'WSSS_maps').is_dir()
    for name in ('2007_1', '2007_2'):  # VOC's maps take precedence
        for part in ('SegmentationObject', 'SegmentationClass'):
            assert (read_index_png(out_root / part / f'{name}.png') == 1).all()
    for name in ('2008_1', '2008_2'):
        objects = read_index_png(out_root / 'SegmentationObject' / f'{name}.png')
        np.testing.assert_array_equal(objects, OBJECTS)
        semantic = read_index_png(out_root / 'SegmentationClass' / f'{name}.png')
        np.testing.assert_array_equal(semantic, SEMANTIC)
    images = sorted(path.name for path in (out_root / 'JPEGImages').iterdir())
    assert images == ['2007_1.jpg', '2007_2.jpg', '2008_1.jpg', '2008_2.jpg']
    assert (report.num_train_aug, report.num_voc, report.num_sbd) == (3, 1, 2)
    assert (report.num_new_images, report.differing) == (1, ())


def test_sources_stay_as_they_are_when_linked(roots):
    voc = roots[0]
    (voc / 'SegmentationClass/2008_1.png').symlink_to(voc / 'SegmentationClass/2007_1.png')
    write_lines(voc / 'ImageSets/Segmentation/train_aug.txt', ['mine'])
    before = {path: path.read_bytes() for path in voc.parent.rglob('*.*') if path.is_file()}
    out_root, _ = merge(roots)
    assert {path: path.read_bytes() for path in before} == before
    np.testing.assert_array_equal(
        read_index_png(out_root / 'SegmentationClass/2008_1.png'), SEMANTIC
    )


def test_points_are_drawn_from_the_merged_folder(roots):
    out_root, _ = merge(roots)
    report = convert_voc_masks(
        out_root, out_root.parent / 'points', classes=CLASSES, splits=('train_aug', 'val')
    )
    assert report.num_images == {'train_aug': 3, 'val': 1}
    assert report.num_objects == {'train_aug': 1 + 3 + 3, 'val': 1}
    _, labels = read_voc_objects(out_root, '2008_1', num_classes=3)
    assert labels.tolist() == [2, 0, 2]


def test_copies_have_no_links(roots):
    out_root, _ = merge(roots, copy=True)
    assert not any(path.is_symlink() for path in out_root.rglob('*'))


def test_disagreements_of_inst_and_cls_are_reported(roots):
    semantic = np.where(OBJECTS == 2, 2, SEMANTIC).astype(np.uint8)
    write_sbd(roots[1], '2008_1', semantic=semantic)
    out_root, report = merge(roots)
    assert report.differing == ('2008_1',)
    written = read_index_png(out_root / 'SegmentationClass/2008_1.png')
    np.testing.assert_array_equal(written, SEMANTIC)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(semantic=SEMANTIC[:2]), r'inst/2008_1\.mat: expected the size of .* \(2, 5\)'),
        (dict(categories=[3, 1]), 'inst/2008_1.mat: expected a category for object 3, got 2'),
        (dict(categories=[3, 1, 4]), r'inst/2008_1\.mat: expected categories 1\.\.3, got 4'),
        (dict(categories=[3, 1, 0]), r'inst/2008_1\.mat: expected categories 1\.\.3, got 0'),
        (dict(semantic=SEMANTIC + 3), r'cls/2008_1\.mat: expected classes 0\.\.3 or 255, got 6'),
        (
            dict(objects=OBJECTS.T, semantic=SEMANTIC.T),
            r'inst/2008_1\.mat: expected the size of its image, \(3, 5\), got \(5, 3\)',
        ),
    ],
)
def test_broken_content_is_named_and_nothing_written(roots, changes, message):
    write_sbd(roots[1], '2008_1', **changes)
    with pytest.raises(ValueError, match=message):
        merge(roots)
    assert not (roots[0].parent / 'out').exists()


def test_broken_and_missing_files_are_named(roots):
    voc, sbd = roots
    inst = sbd / 'inst/2008_1.mat'
    content = inst.read_bytes()
    for broken in (b'', b'no mat file', content[:300], content[: len(content) // 2]):
        inst.write_bytes(broken)
        with pytest.raises(ValueError, match=r'inst/2008_1\.mat: expected a \.mat file with GT'):
            merge(roots)
    objects = dict(Segmentation=OBJECTS, Categories=[1, 2, 3])
    savemat(inst, {'GTinst': objects}, do_compression=True)
    packed = inst.read_bytes()
    for place in range(140, len(packed) - 5):
        inst.write_bytes(packed[:place] + bytes([packed[place] ^ 255]) + packed[place + 1 :])
        with pytest.raises(
            ValueError, match=r'inst/2008_1\.mat: expected a \.mat file with GTinst'
        ):
            read_sbd_maps(sbd, '2008_1', num_classes=3)
    # without the check sum at its end, which scipy does not miss
    inst.write_bytes(packed[:132] + struct.pack('<I', len(packed) - 140) + packed[136:-4])
    with pytest.raises(ValueError, match=r'inst/2008_1\.mat: expected a \.mat file.*truncated'):
        read_sbd_maps(sbd, '2008_1', num_classes=3)
    savemat(inst, {'GTinst': np.array([['x']], object)})
    with pytest.raises(ValueError, match=r'inst/2008_1\.mat: expected a struct GTinst, got'):
        merge(roots)
    savemat(inst, {'other': 1})
    with pytest.raises(ValueError, match=r'inst/2008_1\.mat: expected a \.mat file with GTinst'):
        merge(roots)
    savemat(inst, {'GTinst': dict(Segmentation=OBJECTS)})
    with pytest.raises(ValueError, match=r'inst/2008_1\.mat: expected a field Categories'):
        merge(roots)
    inst.unlink()
    with pytest.raises(FileNotFoundError, match=r'inst/2008_1\.mat: no such file'):
        merge(roots)
    (sbd / 'img/2008_2.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'img/2008_2\.jpg: no such file'):
        merge(roots)
    (sbd / 'val.txt').unlink()
    with pytest.raises(FileNotFoundError, match=r'dataset/val\.txt: no such image list'):
        merge(roots)
    with pytest.raises(FileNotFoundError, match='voc: expected SBD, with a folder inst'):
        find_sbd(voc)


def test_the_folder_around_dataset_will_do(roots):
    assert find_sbd(roots[1]) == find_sbd(roots[1].parent) == roots[1]


def test_existing_output_is_kept(roots):
    merge(roots)
    with pytest.raises(FileExistsError, match='not empty'):
        merge(roots)
    merge(roots, overwrite=True)
