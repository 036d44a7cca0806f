"""The command line of tools/dataset_converters/voc_points_to_coco.py, run in this process."""

import json

import pytest
from PIL import Image

from mmp2seg.datasets.voc_layout import write_lines

from ..tool_runs import run_tool


@pytest.fixture
def voc_root(tmp_path):
    root = tmp_path / 'voc'
    write_lines(root / 'ImageSets/Segmentation/train.txt', ['2007_000032'])
    write_lines(root / 'Center_points/2007_000032.txt', ['1 2 0 1', '3.5 2 1 1'])
    (root / 'JPEGImages').mkdir()
    Image.new('RGB', (6, 4)).save(root / 'JPEGImages/2007_000032.jpg')
    return root


def test_voc_classes_unless_the_folder_names_others(voc_root, tmp_path, capsys):
    out = tmp_path / 'points.json'
    run_tool('voc_points_to_coco', voc_root, out)
    content = json.loads(out.read_text())
    assert content['images'] == [
        dict(id=2007000032, file_name='2007_000032.jpg', height=4, width=6)
    ]
    assert [a['point'] for a in content['annotations']] == [[1.5, 2.5], [4, 2.5]]
    assert [c['name'] for c in content['categories']][:2] == ['aeroplane', 'bicycle']
    assert '1 images (0 without points), 2 points' in capsys.readouterr().out
    write_lines(voc_root / 'classes.txt', ['hot dog', 'cat'])
    run_tool('voc_points_to_coco', voc_root, out)
    assert [c['name'] for c in json.loads(out.read_text())['categories']] == ['hot dog', 'cat']
    run_tool('voc_points_to_coco', voc_root, out, '--classes', 'a', 'b')
    assert [c['name'] for c in json.loads(out.read_text())['categories']] == ['a', 'b']


def test_other_options_and_errors(voc_root, tmp_path, capsys):
    out = tmp_path / 'points.json'
    with pytest.raises(SystemExit, match='error: .*032.txt:2: expected a class 0..0'):
        run_tool('voc_points_to_coco', voc_root, out, '--classes', 'a')
    with pytest.raises(SystemExit, match='error: .*Peak_points/2007_000032.txt: no such point'):
        run_tool('voc_points_to_coco', voc_root, out, '--points-dir', 'Peak_points')
    with pytest.raises(SystemExit, match='error: .*val.txt: no such image list'):
        run_tool('voc_points_to_coco', voc_root, out, '--split', 'val')
    write_lines(voc_root / 'Center_points/2007_000032.txt', ['1 2 0 1', '7 2 1 1'])
    with pytest.raises(SystemExit, match='error: (?s:.)*032.txt:2: .* outside'):
        run_tool('voc_points_to_coco', voc_root, out)
    assert not out.exists()
    capsys.readouterr()
    run_tool('voc_points_to_coco', voc_root, out, '--skip-refused')
    assert '1 points left out' in capsys.readouterr().out
