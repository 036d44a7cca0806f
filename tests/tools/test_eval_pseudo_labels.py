import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from mmp2seg.files.atomic_write import write_json
from mmp2seg.pseudo_labels.coco_json import assemble, encode_instances

TOOL = Path(__file__).parents[2] / 'tools' / 'analysis_tools' / 'eval_pseudo_labels.py'


def test_table_and_json(tmp_path):
    masks = np.zeros((1, 4, 8), dtype=bool)
    masks[0, :, :4] = True
    images = [{'id': 1, 'file_name': 'a.png', 'height': 4, 'width': 8}]
    categories = [{'id': 1, 'name': 'cat'}]
    anns = encode_instances(masks, [0], [1.0], [[1, 1]], [0], image_id=1, category_ids=[1])
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
    }
