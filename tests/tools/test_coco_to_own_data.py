import json

import cv2
import numpy as np
import pytest

from .tool_runs import run_tool


@pytest.fixture
def truth(tmp_path):
    """One image with a rectangle and a small square."""
    (tmp_path / 'images').mkdir()
    cv2.imwrite(str(tmp_path / 'images' / 'a.png'), np.full((20, 40, 3), 90, np.uint8))
    shapes = {1: [2, 2, 20, 2, 20, 12, 2, 12], 2: [30, 4, 32, 4, 32, 6, 30, 6]}
    content = dict(
        images=[dict(id=5, file_name='a.png', height=20, width=40)],
        categories=[dict(id=3, name='cat')],
        annotations=[
            dict(id=key, image_id=5, category_id=3, segmentation=[polygon])
            for key, polygon in shapes.items()
        ],
    )
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    return [tmp_path / 'truth.json', tmp_path / 'images']


def test_a_folder_to_train_and_to_judge_on(truth, tmp_path, capsys):
    out = tmp_path / 'own'
    run_tool('coco_to_own_data', *truth, '--out', out, '--long-side', 80, '--min-area', 10)
    assert f'{out}: 1 images, 1 objects and 1 void ones, 1 classes' in capsys.readouterr().out
    (image,) = json.loads((out / 'points.json').read_text())['images']
    assert (image['height'], image['width']) == (40, 80)
    assert {path.name for path in out.iterdir()} == {
        'images',
        'points.json',
        'true_maps',
        'truth.json',
    }


def test_mistakes(truth, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_tool('coco_to_own_data', truth[0], '--out', tmp_path / 'own')
    assert 'expected pairs TRUTH.json IMAGES, got 1' in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r'error: .*gone\.json'):
        run_tool('coco_to_own_data', 'gone.json', truth[1], '--out', tmp_path / 'own')
