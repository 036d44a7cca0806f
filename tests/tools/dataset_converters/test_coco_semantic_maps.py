"""The command line of tools/dataset_converters/coco_semantic_maps.py, run in this process."""

import json

import pytest

from mmp2seg.files.index_png import read_index_png

from ..tool_runs import run_tool


@pytest.fixture
def instances(tmp_path):
    square = [[1, 1, 3, 1, 3, 3, 1, 3]]
    shared = dict(image_id=1, category_id=90)
    content = dict(
        images=[dict(id=1, file_name='a.jpg', height=4, width=6)],
        categories=[dict(id=7, name='train'), dict(id=90, name='toothbrush')],
        annotations=[
            dict(id=1, segmentation=square, **shared),
            dict(id=2, segmentation=square, iscrowd=1, **shared),
        ],
    )
    (tmp_path / 'instances.json').write_text(json.dumps(content))
    return content


def test_maps_and_counts(instances, tmp_path, capsys):
    run_tool('coco_semantic_maps', tmp_path / 'instances.json', tmp_path / 'maps')
    semantic_map = read_index_png(tmp_path / 'maps/a.png')
    assert semantic_map.shape == (4, 6)
    assert (semantic_map[1, 1], semantic_map[0, 5]) == (2, 0)
    lines = capsys.readouterr().out.splitlines()
    assert '1 maps, 1 objects (0 completely hidden), 1 crowds ignored' in lines
    assert lines[-2:] == ['  1 train: 0', '  2 toothbrush: 1']


def test_options_and_errors(instances, tmp_path, capsys):
    arguments = 'coco_semantic_maps', tmp_path / 'instances.json', tmp_path / 'maps'
    run_tool(*arguments, '--classes', 'toothbrush', 'train')
    assert read_index_png(tmp_path / 'maps/a.png')[1, 1] == 1
    with pytest.raises(SystemExit, match='error: .*maps: the folder is not empty'):
        run_tool(*arguments)
    instances['annotations'][0]['segmentation'] = []
    (tmp_path / 'instances.json').write_text(json.dumps(instances))
    with pytest.raises(SystemExit, match='error: .*annotation 1: expected a polygon'):
        run_tool(*arguments, '--overwrite')
    capsys.readouterr()
    run_tool(*arguments, '--overwrite', '--skip-refused')
    assert '1 annotations left out:' in capsys.readouterr().out
