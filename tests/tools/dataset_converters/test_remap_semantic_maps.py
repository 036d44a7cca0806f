"""The command line of tools/dataset_converters/remap_semantic_maps.py, run in this process."""

import json

import numpy as np
import pytest

from mmp2seg.files.index_png import read_index_png, write_palette_png

from ..tool_runs import run_tool


@pytest.fixture
def maps(tmp_path):
    (tmp_path / 'ids').mkdir()
    write_palette_png(tmp_path / 'ids/a.png', np.array([[0, 1, 90, 255, 90]], np.uint8))
    return tmp_path / 'ids'


def test_category_ids_of_a_json(maps, tmp_path, capsys):
    categories = [dict(id=number, name=str(number)) for number in (1, 13, 90)]
    (tmp_path / 'coco.json').write_text(json.dumps(dict(categories=categories)))
    run_tool('remap_semantic_maps', maps, tmp_path / 'out', '--coco-json', tmp_path / 'coco.json')
    assert read_index_png(tmp_path / 'out/a.png').tolist() == [[0, 1, 3, 255, 3]]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5:] == [
        '1 maps',
        '  0 -> 0: 1 pixels',
        '  1 -> 1: 1 pixels',
        '  90 -> 3: 2 pixels',
        '  255 -> 255: 1 pixels',
    ]


def test_a_mapping_file_and_errors(maps, tmp_path):
    path, arguments = tmp_path / 'mapping.txt', ('remap_semantic_maps', maps, tmp_path / 'out')
    path.write_text('1 0\n')
    with pytest.raises(SystemExit, match='error: .*ids/a.png: .* got 90'):
        run_tool(*arguments, '--mapping', path)
    assert not (tmp_path / 'out').exists()
    path.write_text('1 0\n90 2\n')
    run_tool(*arguments, '--mapping', path)
    assert read_index_png(tmp_path / 'out/a.png').tolist() == [[0, 0, 2, 255, 2]]
    run_tool(*arguments, '--mapping', path, '--overwrite')
    with pytest.raises(SystemExit):
        run_tool(*arguments)
    with pytest.raises(SystemExit):
        run_tool(*arguments, '--mapping', path, '--coco-json', path)
