import json

import numpy as np
import pytest

from mmp2seg.ops.rle import encode_rle

from .tool_runs import run_tool


@pytest.fixture
def folder(tmp_path):
    masks = np.zeros((2, 6, 12), dtype=bool)
    masks[0, :, :6], masks[1, :, 6:] = True, True
    entries = [
        {'image_id': 1, 'category_id': 2, 'segmentation': encode_rle(mask)} for mask in masks
    ]
    truth = {
        'images': [{'id': 1, 'file_name': 'a.png', 'height': 6, 'width': 12}],
        'categories': [{'id': 2, 'name': 'cat'}, {'id': 5, 'name': 'dog'}],
        'annotations': [{**entry, 'id': i, 'iscrowd': 0} for i, entry in enumerate(entries)],
    }
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    (tmp_path / 'pred.json').write_text(json.dumps([{**entries[0], 'score': 0.5}]))
    return tmp_path


def test_tables_and_json(folder, capsys):
    files = [folder / name for name in ('pred.json', 'truth.json')]
    run_tool('eval_instances', *files, '--classwise', '--json', folder / 'out.json')
    text = capsys.readouterr().out
    assert '1 of 1 images' in text and '1 predictions, 2 objects' in text
    assert 'missing rate at IoU 50' in text and 'the definition is ours' in text
    assert 'dog' in text
    figures = json.loads((folder / 'out.json').read_text())
    assert figures['voc/mAP50'] == 50 and figures['voc/AP75/cat'] == 50
    assert figures['voc/AP50/dog'] is None
    assert figures['objects/missing_rate_iou50'] == 50
    assert figures['objects/adjacent_rate_iou50'] == 50
    assert 0 < figures['coco/AP'] < 100


def test_options(folder, capsys):
    files = [folder / name for name in ('pred.json', 'truth.json')]
    out = folder / 'out.json'
    options = ['--score-thr', 0.6, '--gap', 0, '--max-per-image', 1, '--json', out]
    run_tool('eval_instances', *files, *options)
    figures = json.loads(out.read_text())
    assert figures['objects/missing_rate_iou50'] == 100
    assert figures['objects/num_adjacent'] == 0
    assert 'dog' not in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            ['pred.json', 'gone.json'],
            'eval_instances.py: error: .*gone.json: there is',
        ),
        (['gone.json', 'truth.json'], 'error: .*gone.json: there is no such file'),
        (['truth.json', 'truth.json'], r"annotations\[0\] lacks \['score'\]"),
        (['pred.json', 'truth.json', '--void-dir', 'gone'], 'no such folder of void maps'),
    ],
)
def test_mistakes_end_with_one_line(folder, options, message):
    argv = [folder / option if not option.startswith('--') else option for option in options]
    with pytest.raises(SystemExit, match=message):
        run_tool('eval_instances', *argv)
