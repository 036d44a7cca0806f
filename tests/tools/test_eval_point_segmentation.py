"""The command line of tools/analysis_tools/eval_point_segmentation.py, run in this process."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.ops.rle import encode_rle

from .tool_runs import run_tool


def write_truth(root, number):
    """Write an image with two touching squares; return the json and the folder of the image."""
    images = root / 'images'
    images.mkdir(parents=True)
    masks = np.zeros((2, 24, 40), bool)
    masks[0, 4:16, 4:16] = masks[1, 4:16, 16:28] = True
    pixels = np.full((24, 40, 3), 20, np.uint8)
    pixels[masks[0]], pixels[masks[1]] = (220, 40, 40), (40, 40, 220)
    cv2.imwrite(str(images / f'{number}.png'), pixels)
    content = dict(
        images=[dict(id=1, file_name=f'{number}.png', height=24, width=40)],
        categories=[dict(id=1, name='square')],
        annotations=[
            dict(id=k, image_id=1, category_id=1, segmentation=encode_rle(mask))
            for k, mask in enumerate(masks)
        ],
    )
    write_json(root / 'truth.json', content)
    return [str(root / 'truth.json'), str(images)]


@pytest.fixture
def truth(tmp_path):
    return write_truth(tmp_path / 'first', 1)


def test_all_baselines_on_two_truth_jsons(truth, tmp_path, capsys):
    pairs = [*truth, *write_truth(tmp_path / 'second', 2)]
    out = tmp_path / 'figures.json'
    run_tool(
        'eval_point_segmentation', *pairs, '--json', out, '--long-side', 80,
        '--worst', tmp_path / 'worst', '--num-worst', 1,
    )  # fmt: skip
    text = capsys.readouterr().out
    assert '2 images, 4 objects and 0 void ones, 1 classes, long side 80 px' in text
    assert 'semantic maps given to nearest: degraded' in text
    assert '4 pictures of the worst images' in text
    methods = json.loads(out.read_text())['methods']
    assert list(methods) == ['discs', 'watershed', 'grabcut', 'nearest']
    assert methods['grabcut']['mean_iou'] > 0.9 > methods['discs']['mean_iou'] > 0.3
    assert len(list((tmp_path / 'worst').glob('*/01_*.png'))) == 4


def test_a_config_its_options_and_a_folder_of_maps(truth, tmp_path, capsys):
    config = tmp_path / 'methods.py'
    config.write_text(
        "methods = dict(mine=dict(type='mmp2seg.PointBaseline', rule='discs'),\n"
        "               split=dict(type='mmp2seg.NearestSplit'))\n"
    )
    maps = tmp_path / 'maps'
    write_palette_png(maps / '1.png', np.zeros((24, 40), np.uint8))
    out = tmp_path / 'figures.json'
    run_tool(
        'eval_point_segmentation', *truth, '--config', config, '--cfg-options',
        'methods.mine.rule=grabcut', '--json', out, '--maps', maps, '--long-side', 0,
    )  # fmt: skip
    text = capsys.readouterr().out
    assert 'sizes of the files' in text and f'given to split: {maps}' in text
    methods = json.loads(out.read_text())['methods']
    assert list(methods) == ['mine', 'split']
    assert methods['mine']['mean_iou'] > 0.9 and methods['split']['mean_iou'] == 0


def test_points_and_the_smallest_area(truth, tmp_path, capsys):
    points = json.loads(Path(truth[0]).read_text())
    points['annotations'] = [
        dict(id=1, image_id=1, category_id=1, point=[20, 10])  # the first has none
    ]
    write_json(tmp_path / 'points.json', points)
    out = tmp_path / 'figures.json'
    options = ['--methods', 'grabcut', '--points', tmp_path / 'points.json', '--json', out]
    run_tool('eval_point_segmentation', *truth, *options)
    (image,) = json.loads(out.read_text())['methods']['grabcut']['images']
    assert image['ious'][0] == 0 and image['ious'][1] > 0.3
    run_tool('eval_point_segmentation', *truth, *options[:2], '--min-area', 1000)
    assert '1 images, 0 objects and 2 void ones' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['truth.json'], 'expected pairs TRUTH.json IMAGES, got 1 arguments'),
        (
            ['a', 'b', '--points', 'c', 'd'],
            '--points: expected a json per truth, 1, got 2',
        ),
        (['a', 'b', '--cfg-options', 'x=1'], '--cfg-options: expected --config'),
        (['a', 'b', '--long-side', '-1'], 'expected at least 0, got -1'),
    ],
)
def test_wrong_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        run_tool('eval_point_segmentation', *arguments)
    assert message in capsys.readouterr().err


def test_mistakes_end_the_command_with_one_line(truth, tmp_path):
    with pytest.raises(SystemExit, match="error: expected a method of .*got 'disks'; did you mean"):
        run_tool('eval_point_segmentation', *truth, '--methods', 'disks')
    with pytest.raises(SystemExit, match=r'error: .*none.json'):
        run_tool('eval_point_segmentation', tmp_path / 'none.json', truth[1])
    config = tmp_path / 'empty.py'
    config.write_text('x = 1\n')
    with pytest.raises(SystemExit, match=r'empty.py: expected a dict `methods`'):
        run_tool('eval_point_segmentation', *truth, '--config', config)
