import pytest

from mmp2seg.registry import DATASETS


def _build(arguments, **options):
    return DATASETS.build(dict(type='mmp2seg.PointVOCDataset', **{**arguments, **options}))


def test_points_are_pixel_indices_plus_half_and_empty_images_stay(tiny_voc):
    _, arguments = tiny_voc
    dataset = _build(arguments)
    assert len(dataset) == 3
    first = dataset.get_data_info(0)
    assert [instance['point'] for instance in first['instances']] == [
        [8.5, 8.5],
        [23.5, 8.5],
        [14.5, 25.5],
    ]
    assert [instance['bbox_label'] for instance in first['instances']] == [0, 0, 1]
    assert [instance['point_id'] for instance in first['instances']] == [0, 1, 2]
    assert first['file_name'] == 'img_1.jpg'
    assert first['seg_map_path'].endswith('WSSS_maps/img_1.png')
    assert dataset.get_data_info(2)['instances'] == []


def test_image_ids_are_the_digits_of_the_names_or_count_from_one(tiny_voc):
    root, arguments = tiny_voc
    assert [_build(arguments).get_data_info(index)['img_id'] for index in range(3)] == [1, 2, 3]
    for name in ('2007_000032', '2008_01'):
        (root / 'Center_points' / f'{name}.txt').write_text('')
    (root / 'ImageSets' / 'train.txt').write_text('2007_000032\n2008_01\n')
    dataset = _build(arguments)
    assert [dataset.get_data_info(index)['img_id'] for index in range(2)] == [2007000032, 200801]


def test_a_dataset_without_maps_has_none(tiny_voc):
    _, arguments = tiny_voc
    dataset = _build(arguments, data_prefix=dict(img='JPEGImages', points='Center_points'))
    assert dataset.get_data_info(0)['seg_map_path'] is None


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('8 8 0\n9 9\n', r"img_1\.txt:2: expected 'x y class \[confidence\]', got '9 9'"),
        ('8 8 0 1 2\n', r'img_1\.txt:1: expected'),
        ('8 eight 0\n', r'img_1\.txt:1: expected a point of two finite numbers'),
        ('8 nan 0\n', r'img_1\.txt:1: expected a point of two finite numbers'),
        ('\n8 8 2\n', r"img_1\.txt:2: expected a class 0\.\.1, got '2'"),
        ('8 8 -1\n', r"expected a class 0\.\.1, got '-1'"),
        ('8 8 0.5\n', r"expected a class 0\.\.1, got '0.5'"),
        ('8 8 cat\n', r"expected a class 0\.\.1, got 'cat'"),
    ],
)
def test_broken_lines_are_named(tiny_voc, text, message):
    root, arguments = tiny_voc
    (root / 'Center_points' / 'img_1.txt').write_text(text)
    with pytest.raises(ValueError, match=message):
        _build(arguments)


@pytest.mark.parametrize('name', ['ImageSets/train.txt', 'Center_points/img_1.txt', 'names.txt'])
def test_files_in_another_encoding_are_named(tiny_voc, name):
    root, arguments = tiny_voc
    (root / name).write_bytes('8 8 0 thé\n'.encode('latin-1'))
    if name == 'names.txt':
        arguments = {**arguments, 'metainfo': dict(classes=str(root / name))}
    with pytest.raises(ValueError, match=rf'{root / name}: expected text in UTF-8'):
        _build(arguments)


def test_files_with_a_mark_as_windows_has_it(tiny_voc):
    root, arguments = tiny_voc
    for name in ('ImageSets/train.txt', 'Center_points/img_1.txt'):
        text = (root / name).read_text()
        (root / name).write_text(text, encoding='utf-8-sig')
    assert [len(entry['instances']) for entry in _build(arguments)] == [3, 1, 0]


def test_classes_written_as_floats_are_read(tiny_voc):
    root, arguments = tiny_voc
    (root / 'Center_points' / 'img_1.txt').write_text('8 8 1.0 1.0\n')
    assert _build(arguments).get_data_info(0)['instances'][0]['bbox_label'] == 1


def test_train_cls_is_an_image_list(tiny_voc):
    """BESTIE has only this list: the first words are the images, the classes come from points."""
    root, arguments = tiny_voc
    (root / 'train_cls.txt').write_text('img_2 1\nimg_1 0 1\nimg_3\n')
    dataset = _build(arguments, ann_file='train_cls.txt')
    names = [dataset.get_data_info(index)['file_name'] for index in range(3)]
    assert names == ['img_2.jpg', 'img_1.jpg', 'img_3.jpg']


def test_small_coordinates_keep_their_digits(tiny_voc):
    root, arguments = tiny_voc
    (root / 'Center_points' / 'img_1.txt').write_text('-0.4 -0.5 0 1\n')
    assert _build(arguments).get_data_info(0)['instances'][0]['point'] == [0.1, 0]


def test_missing_point_file_is_named(tiny_voc):
    root, arguments = tiny_voc
    (root / 'Center_points' / 'img_2.txt').unlink()
    with pytest.raises(FileNotFoundError, match=r'img_2\.txt: no such point file'):
        _build(arguments)


def test_no_images_at_all_is_an_error(tiny_voc):
    root, arguments = tiny_voc
    (root / 'ImageSets' / 'train.txt').write_text('\n')
    with pytest.raises(ValueError, match=r'train\.txt: expected at least one image'):
        _build(arguments)


@pytest.mark.parametrize('name', ['../img_1', '/img_1', 'a/../../img_1', 's3://a', 'a\x00'])
def test_names_stay_in_the_folder(tiny_voc, name):
    root, arguments = tiny_voc
    (root / 'ImageSets' / 'train.txt').write_text(f'img_1\n{name}\n')
    with pytest.raises(
        ValueError, match=r'train\.txt: expected names of images in the image folder'
    ):
        _build(arguments)


def test_only_the_listed_folders_are_read(tiny_voc):
    """Ground truth next to the weak maps is never used implicitly."""
    root, arguments = tiny_voc
    (root / 'SegmentationClass').mkdir()
    info = _build(arguments).get_data_info(0)
    assert not any('SegmentationClass' in str(value) for value in info.values())
