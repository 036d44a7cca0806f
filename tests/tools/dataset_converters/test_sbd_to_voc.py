"""The command line of tools/dataset_converters/sbd_to_voc.py, run in this process."""

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from mmp2seg.datasets.voc_layout import write_lines
from mmp2seg.files.index_png import write_palette_png

from ..tool_runs import run_tool


@pytest.fixture
def roots(tmp_path):
    voc, sbd = tmp_path / 'voc', tmp_path / 'sbd'
    values = np.array([[1, 0, 0]], np.uint8)
    for part in ('SegmentationObject', 'SegmentationClass', 'JPEGImages'):
        (voc / part).mkdir(parents=True)
    for part in ('SegmentationObject', 'SegmentationClass'):
        for name in ('a', 'v'):
            write_palette_png(voc / part / f'{name}.png', values)
    for part in ('inst', 'cls', 'img'):
        (sbd / part).mkdir(parents=True)
    for folder, name in ((voc / 'JPEGImages', 'a'), (voc / 'JPEGImages', 'v'), (sbd / 'img', 's')):
        Image.new('RGB', (3, 1)).save(folder / f'{name}.jpg')
    categories = np.array([[20]], np.uint8)
    savemat(sbd / 'inst/s.mat', {'GTinst': dict(Segmentation=values, Categories=categories)})
    savemat(sbd / 'cls/s.mat', {'GTcls': dict(Segmentation=values)})
    write_lines(voc / 'ImageSets/Segmentation/train.txt', ['a'])
    write_lines(voc / 'ImageSets/Segmentation/val.txt', ['v'])
    write_lines(sbd / 'train.txt', ['v', 's'])
    write_lines(sbd / 'val.txt', ['a'])
    return voc, sbd


def test_the_folder_the_counts_and_the_warning(roots, tmp_path, capsys, monkeypatch):
    out_root = tmp_path / 'out'
    run_tool('sbd_to_voc', *roots, out_root)
    assert (out_root / 'ImageSets/Segmentation/train_aug.txt').read_text() == 'a\ns\n'
    captured = capsys.readouterr()
    assert (
        'train_aug: 2 images, 1 with maps of VOC, 1 with maps of SBD; 1 image files of SBD\n'
        '1 images whose cls and inst differ, inst is used: s\n'
    ) in captured.out
    assert captured.err == 'warning: expected 10582 images of VOC 2012 and SBD, got 2\n'
    with pytest.raises(SystemExit, match='error: .*out: the folder is not empty'):
        run_tool('sbd_to_voc', *roots, out_root)
    monkeypatch.setattr('mmp2seg.converters.sbd.TRAIN_AUG_SIZE', 2)
    run_tool('sbd_to_voc', *roots, out_root, '--overwrite', '--copy')
    assert not any(path.is_symlink() for path in out_root.rglob('*'))
    assert capsys.readouterr().err == ''


def test_points_are_drawn_from_the_folder(roots, tmp_path, capsys):
    run_tool('sbd_to_voc', *roots, tmp_path / 'out')
    run_tool(
        'voc_masks_to_points', tmp_path / 'out', tmp_path / 'points', '--split', 'train_aug', 'val'
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ['train_aug: 2 images, 2 points', 'val: 1 images, 1 points']
    assert (tmp_path / 'points/Center_points/s.txt').read_text() == '0 0 19 1\n'


def test_errors(roots, tmp_path):
    (roots[1] / 'inst/s.mat').write_text('broken')
    with pytest.raises(SystemExit, match=r'error: .*inst/s.mat: expected a .mat file with GTinst'):
        run_tool('sbd_to_voc', *roots, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
