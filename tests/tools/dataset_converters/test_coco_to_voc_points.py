"""The command line of tools/dataset_converters/coco_to_voc_points.py, run in this process."""

import json

import pytest

from ..tool_runs import run_tool


@pytest.fixture
def arguments(tmp_path):
    def write(suffix='.jpg', **changes):
        annotation = dict(id=1, image_id=1, category_id=90, point=[2.5, 3], bbox=[0, 0, 3, 1])
        content = dict(
            images=[dict(id=1, file_name=f'a{suffix}', height=4, width=6)],
            categories=[dict(id=7, name='train'), dict(id=90, name='hot dog')],
            annotations=[annotation | changes],
        )
        (tmp_path / 'images').mkdir(exist_ok=True)
        (tmp_path / f'images/a{suffix}').touch()
        (tmp_path / 'points.json').write_text(json.dumps(content))
        return (
            'coco_to_voc_points',
            tmp_path / 'points.json',
            tmp_path / 'images',
            tmp_path / 'voc',
        )

    return write


def test_the_layout_and_the_counts(arguments, tmp_path, capsys):
    run_tool(*arguments(), '--split', 'train_aug')
    assert (tmp_path / 'voc/Center_points/a.txt').read_text() == '2 2.5 1 1\n'
    assert (tmp_path / 'voc/ImageSets/Segmentation/train_aug.txt').read_text() == 'a\n'
    text = capsys.readouterr().out
    assert '1 images (0 without points), 1 points\n  train: 0\n  hot dog: 1\n' in text
    assert 'img_suffix' not in text


def test_other_options(arguments, tmp_path, capsys):
    options = '--point-source', 'bbox', '--copy'
    run_tool(*arguments(suffix='.png'), *options)
    assert (tmp_path / 'voc/Center_points/a.txt').read_text() == '1 0 1 1\n'
    assert not (tmp_path / 'voc/JPEGImages').is_symlink()
    assert "the dataset needs img_suffix='.png'" in capsys.readouterr().out
    with pytest.raises(SystemExit, match='error: .*voc: the folder is not empty'):
        run_tool(*arguments())
    broken = arguments(point=[99, 1])
    with pytest.raises(SystemExit, match='error: (?s:.)*annotation 1: .*outside of a.jpg'):
        run_tool(*broken, '--overwrite')
    with pytest.raises(SystemExit, match='points.json: expected a point, got none in 1 images'):
        run_tool(*broken, '--overwrite', '--skip-refused')
    run_tool(*broken, '--overwrite', '--skip-refused', '--allow-empty')
    assert '1 points left out' in capsys.readouterr().out


def test_background_clicks_are_mentioned(arguments, tmp_path, capsys):
    args = arguments()
    content = json.loads((tmp_path / 'points.json').read_text())
    content['images'][0]['background_points'] = [[1, 2], [3, 2]]
    (tmp_path / 'points.json').write_text(json.dumps(content))
    run_tool(*args)
    line = "2 background clicks left out: VOC's layout has no place for them"
    assert line in capsys.readouterr().out.splitlines()
