"""The command line of tools/dataset_converters/point_masks_to_semantic_maps.py."""

import json

import numpy as np
import pytest

from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.rle import encode_rle

from ..tool_runs import run_tool

TOOL = 'point_masks_to_semantic_maps'


@pytest.fixture
def points_path(tmp_path):
    content = dict(
        images=[dict(id=1, file_name='a.jpg', height=4, width=50)],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        annotations=[
            dict(id=i, image_id=1, category_id=1 + i % 2, point=[i, 1]) for i in range(30)
        ],
    )
    (tmp_path / 'points.json').write_text(json.dumps(content))
    return tmp_path / 'points.json'


def test_a_folder_of_sams_files(points_path, tmp_path, capsys):
    (tmp_path / 'sam').mkdir()
    mask = np.zeros((4, 50), bool)
    mask[:, :2] = True
    masks = [dict(segmentation=encode_rle(mask), predicted_iou=0.9, point_coords=[[0, 1]])]
    (tmp_path / 'sam' / 'a.json').write_text(json.dumps(masks))
    arguments = [TOOL, tmp_path / 'sam', points_path, tmp_path / 'out']
    run_tool(*arguments)
    assert (read_index_png(tmp_path / 'out' / 'a.png')[:, :3] == [1, 1, 0]).all()
    lines = capsys.readouterr().out.splitlines()
    assert '1 maps from 1 masks, 30 points' in lines
    assert 'pixels where masks of different classes overlap: 4.00%' in lines
    assert 'points without a mask: 28' in lines
    assert lines[-2].endswith('annotation 21: dog of a.jpg')
    assert lines[-1] == '  ... and 8 more'
    run_tool(*arguments, '--uncertain', 255, '--overwrite')
    assert (read_index_png(tmp_path / 'out' / 'a.png')[:, :3] == [255, 255, 0]).all()


def test_mistakes_end_the_command_with_one_line(points_path, tmp_path):
    (tmp_path / 'masks.json').write_text('[{"image_id": 1}]')
    with pytest.raises(SystemExit, match=r"error: .*masks.json: \[0\]: .*'segmentation'"):
        run_tool(TOOL, tmp_path / 'masks.json', points_path, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
