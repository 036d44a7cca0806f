import json

import numpy as np

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import assemble, mask_entries

from .tool_runs import run_tool


def test_table_and_json(tmp_path, capsys):
    images = [dict(id=1, file_name='a.png', height=40, width=60)]
    annotations = []
    for index, column in enumerate((5, 35)):
        mask = np.zeros((40, 60), bool)
        mask[10:30, column : column + 20] = True
        annotations.append(
            dict(
                id=index, image_id=1, category_id=1, point_id=index, iscrowd=0, score=1.0,
                point=[column + 10.0, 20.0], **mask_entries(encode_rle(mask)),
            )
        )  # fmt: skip
    labels = assemble(images, [dict(id=1, name='cat')], annotations, [], {})
    write_json(tmp_path / 'a.json', {**labels, 'annotations': annotations})
    out = tmp_path / 'out.json'
    run_tool('simulate_candidates', tmp_path / 'a.json', tmp_path / 'a.json',
             '--advantage', '0', '0.2', '--border', '0', '--seeds', '2', '--json', out)  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    header = '| advantage | LABELS | own score | no other click | refined | best of three |'
    assert lines[0] == header
    assert lines[2].startswith('| 0 | 100.0 +- 0.0 | ')
    assert lines[3].startswith('| 0.2 | 100.0')
    assert any(line.startswith('candidate ') and line.endswith('of the points') for line in lines)
    rows = json.loads(out.read_text())
    assert [(row['advantage'], row['seed']) for row in rows] == [(0, 0), (0, 1), (0.2, 0), (0.2, 1)]
    assert all(row['labels'] == 1 and row['refined'] <= row['best'] for row in rows)
