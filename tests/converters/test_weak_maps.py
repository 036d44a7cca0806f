import numpy as np
import pytest
from PIL import Image

from mmp2seg.converters.weak_maps import degrade_folder
from mmp2seg.files.index_png import read_index_png, write_palette_png
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou


@pytest.fixture
def gt_dir(tmp_path):
    folder = tmp_path / 'gt'
    folder.mkdir()
    for i in range(4):
        semantic_map = np.zeros((60, 80), np.uint8)
        semantic_map[10:50, 15 * i : 15 * i + 30] = i + 1
        semantic_map[:, 5] = 255
        write_palette_png(folder / f'image{i}.png', semantic_map)
    return folder


def read_all(folder):
    return {path.name: read_index_png(path) for path in sorted(folder.iterdir())}


def test_maps_and_report_agree(gt_dir, tmp_path):
    report = degrade_folder(gt_dir, tmp_path / 'weak', num_classes=5)
    truth, weak = read_all(gt_dir), read_all(tmp_path / 'weak')
    assert list(weak) == list(truth)
    matrix = sum(confusion_matrix(weak[n], truth[n], num_classes=5) for n in truth)
    assert report.miou == mean_iou(matrix)
    assert 0.3 < report.miou < 1
    assert report.num_images == 4
    assert report.class_iou.shape == (6,)
    assert any(not np.array_equal(weak[n], truth[n]) for n in truth)


def test_strength_zero_gives_the_truth(gt_dir, tmp_path):
    report = degrade_folder(gt_dir, tmp_path / 'weak', num_classes=4, strength=0)
    assert report.miou == 1
    for name, weak_map in read_all(tmp_path / 'weak').items():
        np.testing.assert_array_equal(weak_map, read_index_png(gt_dir / name))


def test_a_map_does_not_depend_on_the_others(gt_dir, tmp_path):
    degrade_folder(gt_dir, tmp_path / 'all', num_classes=4, seed=3)
    degrade_folder(gt_dir, tmp_path / 'one', num_classes=4, seed=3, names=['image2'])
    one = read_all(tmp_path / 'one')
    assert list(one) == ['image2.png']
    np.testing.assert_array_equal(one['image2.png'], read_all(tmp_path / 'all')['image2.png'])
    degrade_folder(gt_dir, tmp_path / 'other', num_classes=4, seed=4, names=['image2'])
    assert not np.array_equal(one['image2.png'], read_all(tmp_path / 'other')['image2.png'])


@pytest.mark.parametrize('names', [None, ['image0', 'image1', 'image2', 'image3']])
def test_maps_with_a_suffix_in_capitals(gt_dir, tmp_path, names):
    degrade_folder(gt_dir, tmp_path / 'small', num_classes=4)
    (gt_dir / 'image1.png').rename(gt_dir / 'image1.PNG')
    degrade_folder(gt_dir, tmp_path / 'capital', num_classes=4, names=names)
    small, capital = read_all(tmp_path / 'small'), read_all(tmp_path / 'capital')
    assert list(small) == list(capital)
    np.testing.assert_array_equal(small['image1.png'], capital['image1.png'])


def test_errors_name_file_and_value(gt_dir, tmp_path):
    out_dir = tmp_path / 'weak'
    with pytest.raises(ValueError, match=r'image3.png: expected values 0..3 or 255 .* got 4'):
        degrade_folder(gt_dir, out_dir, num_classes=3)
    with pytest.raises(FileNotFoundError, match='absent.png'):
        degrade_folder(gt_dir, out_dir, num_classes=4, names=['absent'])
    with pytest.raises(ValueError, match='gt: expected names of maps, got none'):
        degrade_folder(gt_dir, out_dir, num_classes=4, names=[])
    (gt_dir / 'image1.png').write_bytes(b'broken')
    with pytest.raises(ValueError, match='image1.png: expected a PNG image'):
        degrade_folder(gt_dir, out_dir, num_classes=4)
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'):
        degrade_folder(tmp_path / 'nowhere', out_dir, num_classes=4)
    assert not out_dir.exists()
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='empty: expected PNG maps, got none'):
        degrade_folder(tmp_path / 'empty', out_dir, num_classes=4)


def test_binary_masks_of_0_and_255_are_no_true_maps(tmp_path):
    (tmp_path / 'gt').mkdir()
    binary = np.zeros((20, 20), np.uint8)
    binary[5:15, 5:15] = 255
    Image.fromarray(binary).save(tmp_path / 'gt' / 'a.png')
    with pytest.raises(ValueError, match=r'gt: no pixel of a class, only 0 and 255'):
        degrade_folder(tmp_path / 'gt', tmp_path / 'out', num_classes=1)
    assert not (tmp_path / 'out').exists()
