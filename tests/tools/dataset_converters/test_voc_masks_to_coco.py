"""The command line of tools/dataset_converters/voc_masks_to_coco.py, run in this process."""

import json

import numpy as np
import pytest

from mmp2seg.datasets.voc_layout import write_lines
from mmp2seg.files.index_png import write_palette_png

from ..tool_runs import run_tool


@pytest.fixture
def voc_root(tmp_path):
    root = tmp_path / 'voc'
    for folder in ('SegmentationObject', 'SegmentationClass'):
        (root / folder).mkdir(parents=True)
        write_palette_png(root / folder / 'a.png', np.array([[1, 2, 0]], np.uint8))
    write_lines(root / 'ImageSets/Segmentation/test.txt', ['a'])
    return root


def test_the_json_and_the_counts(voc_root, tmp_path, capsys):
    out = tmp_path / 'annotations/instances.json'
    run_tool('voc_masks_to_coco', voc_root, out, '--split', 'test')
    content = json.loads(out.read_text())
    assert len(content['categories']) == 20
    assert [a['category_id'] for a in content['annotations']] == [1, 2]
    lines = capsys.readouterr().out.splitlines()
    assert 'test: 1 images, 2 objects' in lines
    assert '  aeroplane: 1' in lines
    assert '  tvmonitor: 0' in lines


def test_other_classes_and_errors(voc_root, tmp_path):
    out = tmp_path / 'instances.json'
    run_tool('voc_masks_to_coco', voc_root, out, '--split', 'test', '--classes', 'cat', 'dog')
    assert [c['name'] for c in json.loads(out.read_text())['categories']] == ['cat', 'dog']
    with pytest.raises(SystemExit, match='error: .*SegmentationClass/a.png: expected a class 1..1'):
        run_tool('voc_masks_to_coco', voc_root, out, '--split', 'test', '--classes', 'cat')
    with pytest.raises(SystemExit, match='error: .*val.txt: no such image list'):
        run_tool('voc_masks_to_coco', voc_root, out)


def test_the_source_is_not_replaced(voc_root):
    image_list = voc_root / 'ImageSets/Segmentation/test.txt'
    for out in (voc_root, image_list):
        with pytest.raises(SystemExit, match='error: .*: expected a json to write, got the source'):
            run_tool('voc_masks_to_coco', voc_root, out, '--split', 'test')
    assert image_list.read_text() == 'a\n'
