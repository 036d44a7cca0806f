"""The command line of tools/dataset_converters/import_semantic_maps.py, run in this process."""

import functools

import numpy as np
import pytest
from PIL import Image

from mmp2seg.files.index_png import read_index_png, voc_palette

from ..tool_runs import run_tool


@pytest.fixture
def command(tmp_path):
    """Run the tool on a folder of three images and two maps in RGB."""
    images, maps = tmp_path / 'images', tmp_path / 'maps'
    images.mkdir()
    maps.mkdir()
    for name in 'abc':
        Image.new('RGB', (20, 10)).save(images / f'{name}.jpg')
    for name, value in (('a', 1), ('b', 2)):
        semantic_map = np.full((5, 10), value, np.uint8)
        semantic_map[0] = 255
        Image.fromarray(voc_palette()[semantic_map]).save(maps / f'{name}.png')
    options = ['--images', images, '--num-classes', 2]
    return functools.partial(run_tool, 'import_semantic_maps', maps, tmp_path / 'out', *options)


def test_colours_of_another_size(command, tmp_path, capsys):
    command('--from-palette', '--allow-missing')
    assert (read_index_png(tmp_path / 'out' / 'b.png') == ([[255]] * 2 + [[2]] * 8)).all()
    lines = capsys.readouterr().out.splitlines()
    assert '2 maps, 2 of them resized' in lines
    assert '1 images without a map: c' in lines
    assert lines[-3:] == ['    1:  40.00%', '    2:  40.00%', '  255:  20.00%']


def test_mistakes_end_the_command_with_one_line(command, tmp_path):
    with pytest.raises(SystemExit, match='error: .*maps: expected a map .* 1 are missing: c'):
        command()
    (tmp_path / 'set.txt').write_text('a\nb\n')
    image_set = ['--image-set', tmp_path / 'set.txt']
    with pytest.raises(SystemExit, match=r'error: .*a\.png: .* got RGB, .*--from-palette'):
        command(*image_set)
    command(*image_set, '--from-palette')
    with pytest.raises(SystemExit, match='error: .*out: the folder is not empty'):
        command(*image_set, '--from-palette')


def test_labelmap_and_binary_masks(tmp_path, capsys):
    images, maps = tmp_path / 'images', tmp_path / 'maps'
    images.mkdir()
    maps.mkdir()
    Image.new('RGB', (4, 3)).save(images / 'a.jpg')
    Image.new('RGB', (4, 3), (48, 112, 32)).save(maps / 'a.png')
    (tmp_path / 'labelmap.txt').write_text(
        '# label:color_rgb\nbackground:0,0,0::\ncell:48,112,32::'
    )
    run = functools.partial(run_tool, 'import_semantic_maps', maps)
    run(tmp_path / 'a', '--images', images, '--labelmap', tmp_path / 'labelmap.txt')
    assert 'values: 0 = background, 1 = cell' in capsys.readouterr().out
    run(tmp_path / 'b', '--images', images, '--labelmap', 'cell=48,112,32')
    for name in 'ab':
        assert (read_index_png(tmp_path / name / 'a.png') == 1).all()
    with pytest.raises(SystemExit, match='--num-classes: expected 1, those of --labelmap'):
        run(tmp_path / 'c', '--images', images, '--labelmap', 'c=1,2,3', '--num-classes', 2)
    with pytest.raises(SystemExit, match='--labelmap: expected no --from-palette'):
        run(tmp_path / 'c', '--images', images, '--labelmap', 'c=1,2,3', '--from-palette')
    with pytest.raises(SystemExit, match='--classes: expected with --labelmap only'):
        run(tmp_path / 'c', '--images', images, '--classes', 'cell')
    Image.new('L', (4, 3), 255).save(maps / 'a.png')
    with pytest.raises(SystemExit, match='error: .*maps: no pixel of a class, only 0 and 255'):
        run(tmp_path / 'c', '--images', images, '--num-classes', 1)
    run(tmp_path / 'c', '--images', images, '--num-classes', 1, '--map-values', '255=1')
    assert (read_index_png(tmp_path / 'c' / 'a.png') == 1).all()
    with pytest.raises(SystemExit):
        run(tmp_path / 'd', '--images', images, '--map-values', '256=1')
    assert "expected OLD=NEW, both 0..255, got '256=1'" in capsys.readouterr().err
