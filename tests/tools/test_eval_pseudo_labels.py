import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmp2seg.evaluation.functional.pseudo_masks import MATCH_RULES
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.pseudo_labels.coco_json import assemble, encode_image

from .tool_runs import run_tool

TOOL = Path(__file__).parents[2] / 'tools' / 'analysis_tools' / 'eval_pseudo_labels.py'


def annotations(masks, *, score, point):
    """Entries of one instance of image 1."""
    pred = dict(masks=masks, labels=[0], scores=[score], points=[point], point_ids=[0])
    pred = {key: np.array(value) for key, value in pred.items()}
    return encode_image(dict(img_id=1, pred_instances=pred), [1])[0]


def test_table_and_json(tmp_path):
    masks = np.zeros((1, 4, 8), dtype=bool)
    masks[0, :, :4] = True
    images = [{'id': 1, 'file_name': 'a.png', 'height': 4, 'width': 8}]
    categories = [{'id': 1, 'name': 'cat'}]
    anns = annotations(masks, score=1.0, point=[1, 1])
    labels = assemble(images, categories, anns, [], {})
    write_json(tmp_path / 'pred.json', labels)
    polygon = [[0, 0, 3, 0, 3, 4, 0, 4]]
    truth = {**labels, 'annotations': [{**labels['annotations'][0], 'segmentation': polygon}]}
    write_json(tmp_path / 'truth.json', truth)
    args = [tmp_path / 'pred.json', tmp_path / 'truth.json', '--json', tmp_path / 'out.json']
    env = {'PYTHONPATH': str(TOOL.parents[2]), 'PATH': ''}
    done = subprocess.run(
        [sys.executable, TOOL, *args], capture_output=True, text=True, check=True, env=env
    )
    lines = dict(line.rsplit(maxsplit=2)[:1] + [line] for line in done.stdout.splitlines())
    assert '75.00 %' in lines['mean IoU']
    assert json.loads((tmp_path / 'out.json').read_text()) == {
        'num_objects': 1,
        'num_touching': 0,
        'mean_iou': 0.75,
        'mean_iou_touching': None,
        'num_iou50': 1,
        'num_iou70': 1,
        'num_iou90': 0,
        'found_touching_iou50': None,
        'mean_iou_small': 0.75,
        'mean_iou_large': None,
    }


def test_points_that_match_no_object_are_reported(tmp_path, capsys):
    """Moved points, matched by their position: no silent figure of 0."""
    mask = np.ones((4, 4), bool)
    anns = annotations(mask[None], score=0.5, point=[2.5, 1.5])
    images = [{'id': 1, 'file_name': 'a.jpg', 'height': 4, 'width': 4}]
    labels = assemble(images, [{'id': 1, 'name': 'cat'}], anns, [], {})
    write_json(tmp_path / 'pred.json', labels)
    truth = {**labels, 'annotations': [{**labels['annotations'][0], 'point': [0.5, 0.5]}]}
    write_json(tmp_path / 'truth.json', truth)
    arguments = ['eval_pseudo_labels', tmp_path / 'pred.json', tmp_path / 'truth.json']
    run_tool(*arguments)
    assert 'No object matches an instance by --match point' in capsys.readouterr().err
    run_tool(*arguments, '--match', 'order')
    assert capsys.readouterr().err == ''
    with pytest.raises(SystemExit, match=r'eval_pseudo_labels.py: error: .*gone\.json'):
        run_tool(*arguments[:2], tmp_path / 'gone.json')


def test_match_rules_of_the_option():
    parse_args = runpy.run_path(str(TOOL))['parse_args']
    for rule in MATCH_RULES:
        assert parse_args(['a', 'b', '--match', rule]).match == rule
    with pytest.raises(SystemExit):
        parse_args(['a', 'b', '--match', 'none'])


def test_the_miou_of_the_map_that_the_masks_draw(tmp_path, capsys):
    mask = np.zeros((4, 4), bool)
    mask[:2] = True
    images = [{'id': 1, 'file_name': 'a.jpg', 'height': 4, 'width': 4}]
    anns = annotations(mask[None], score=0.5, point=[2.5, 1.5])
    labels = assemble(images, [{'id': 1, 'name': 'cat'}], anns, [], {})
    for name in ('pred.json', 'truth.json'):
        write_json(tmp_path / name, labels)
    true_map = mask.astype(np.uint8)
    true_map[2] = 1
    write_palette_png(tmp_path / 'a.png', true_map)
    files = [tmp_path / name for name in ('pred.json', 'truth.json')]
    run_tool('eval_pseudo_labels', *files, '--true-maps', tmp_path)
    out = capsys.readouterr().out
    assert '58.33 %' in out.splitlines()[-1]  # 2/3 of the cat, 1/2 of the background
    assert '100.00 %' in out
    run_tool('eval_pseudo_labels', *files)
    assert 'mIoU' not in capsys.readouterr().out


def test_objects_without_a_true_mask(tmp_path, capsys):
    """Two objects side by side; the first has a true mask in a point json."""
    masks = np.zeros((2, 4, 8), bool)
    masks[0, :, :4], masks[1, :, 4:] = True, True
    images = [{'id': 1, 'file_name': 'a.jpg', 'height': 4, 'width': 8}]
    pred = dict(labels=[0, 0], scores=[1, 0.5], points=[[1, 1], [5, 1]], point_ids=[0, 1])
    pred = {key: np.array(value) for key, value in pred.items()}
    cut = masks.copy()
    cut[1, :, 6:] = False
    files = {}
    for name, pixels in (('truth', masks), ('pred', cut)):
        anns, _ = encode_image(dict(img_id=1, pred_instances=dict(pred, masks=pixels)), [1])
        files[name] = tmp_path / f'{name}.json'
        write_json(files[name], assemble(images, [{'id': 1, 'name': 'cat'}], anns, [], {}))
    points = [dict(id=0, image_id=1, category_id=1, point=[1, 1], supervision='mask')]
    write_json(tmp_path / 'points.json', dict(annotations=points))
    command = ['eval_pseudo_labels', files['pred'], files['truth'], '--json', tmp_path / 'f.json']
    run_tool(*command)
    assert 'true mask' not in capsys.readouterr().out
    run_tool(*command, '--unmasked', tmp_path / 'points.json')
    out = capsys.readouterr().out
    figures = json.loads((tmp_path / 'f.json').read_text())
    assert (figures['mean_iou'], figures['mean_iou_unmasked']) == (0.75, 0.5)
    assert figures['num_unmasked'] == 1 and 'objects without a true mask' in out
