"""The command lines of tools/dataset_converters, run in this process."""

import functools
import json

import pytest

from mmp2seg.files.index_png import read_index_png

from ..tool_runs import run_tool


def make_shapes(root, *options):
    run_tool('make_shapes', root, *options)


@pytest.mark.parametrize(('layout', 'images'), [('voc', 'JPEGImages'), ('coco', 'train')])
def test_make_shapes(tmp_path, capsys, layout, images):
    root = tmp_path / layout
    options = ['--num-train', '3', '--num-val', '2', '--size', '48', '64', '--seed', '2']
    make_shapes(root, '--layout', layout, *options)
    assert len(list((root / images).iterdir())) == (5 if layout == 'voc' else 3)
    truth = json.loads((root / 'annotations' / 'instances_val.json').read_text())
    assert [(i['height'], i['width']) for i in truth['images']] == [(48, 64)] * 2
    lines = capsys.readouterr().out.splitlines()
    table = [line.split() for line in lines if line.startswith(('train ', 'val '))]
    assert [row[:2] for row in table] == [['train', '3'], ['val', '2']]
    assert table[1][3] == str(len(truth['annotations']))
    assert all(0 < float(row[5]) <= 100 for row in table)


def test_make_shapes_refuses_to_overwrite_unless_told(tmp_path):
    (tmp_path / 'file').touch()
    options = ['--num-train', '1', '--num-val', '0', '--size', '32']
    with pytest.raises(SystemExit, match=f'error: {tmp_path}: the folder is not empty'):
        make_shapes(tmp_path, *options)
    assert (tmp_path / 'file').exists()
    make_shapes(tmp_path, *options, '--overwrite')
    assert not (tmp_path / 'file').exists()


def test_make_shapes_states_wrong_values(tmp_path, capsys):
    with pytest.raises(SystemExit, match='at least 32 x 32, got 8 x 8'):
        make_shapes(tmp_path / 'a', '--size', '8')
    with pytest.raises(SystemExit):
        make_shapes(tmp_path / 'a', '--size', '64', '64', '3')
    assert 'expected one or two numbers, got 3' in capsys.readouterr().err
    for option in ('--num-train', '--num-val', '--seed'):
        with pytest.raises(SystemExit):
            make_shapes(tmp_path / 'a', option, '-1')
        message = f'argument {option}: expected at least 0, got -1'
        assert message in capsys.readouterr().err
    assert not (tmp_path / 'a').exists()


def test_weak_maps_from_true_ones(tmp_path, capsys):
    make_shapes(tmp_path / 's', '--num-train', '3', '--num-val', '1', '--size', '64')
    gt_dir, out_dir = tmp_path / 's/SegmentationClass', tmp_path / 'weak'
    degrade = functools.partial(run_tool, 'degrade_semantic_maps', gt_dir, out_dir)
    degrade('--num-classes', 4, '--seed', 1)
    assert len(list(out_dir.iterdir())) == 4
    image_set = tmp_path / 's/ImageSets/Segmentation/train.txt'
    options = ['--num-classes', 4, '--image-set', image_set]
    with pytest.raises(SystemExit, match='weak: the folder is not empty'):
        degrade(*options)
    capsys.readouterr()
    degrade(*options, '--strength', 0, '--overwrite')
    assert capsys.readouterr().out.splitlines()[-1] == '3 maps, mIoU 100.0'
    path = sorted(out_dir.iterdir())[0]
    assert (read_index_png(path) == read_index_png(gt_dir / path.name)).all()


def test_voc_masks_to_points(tmp_path, capsys):
    make_shapes(tmp_path / 's', '--num-train', '3', '--num-val', '1', '--size', '64')
    source, out_root = tmp_path / 's', tmp_path / 'points'
    with pytest.raises(SystemExit, match='SegmentationObject.*png: no such file'):
        run_tool('voc_masks_to_points', source, out_root)
    # every class region as one object
    (source / 'SegmentationObject').symlink_to(source / 'SegmentationClass')
    options = ['--split', 'train', 'val', '--point', 'random']
    run_tool('voc_masks_to_points', source, out_root, *options)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith('val: 1 images, ')
    truth = json.loads((out_root / 'annotations/instances_train.json').read_text())
    assert lines[-2] == f'train: 3 images, {len(truth["annotations"])} points'
    assert len(truth['categories']) == 20
