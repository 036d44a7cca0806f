import json
import tempfile

import pytest

from mmp2seg.analysis.benchmarks import scale
from mmp2seg.pseudo_labels.coco_json import load


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Let the files of a call stay."""

    class Folder:
        name = str(tmp_path)

        def __enter__(self):
            return self.name

        def __exit__(self, *error):
            pass

    monkeypatch.setattr(tempfile, 'TemporaryDirectory', Folder)
    return tmp_path


def test_labels(kept):
    scale.make_writing_call(dict(images=5, points=3))()
    content = load(kept / 'labels.json')
    assert len(content['images']) == 5 and len(content['annotations']) == 15
    assert len(content['categories']) == 80
    assert {ann['area'] > 100 for ann in content['annotations']} == {True}


def test_points_are_read(kept):
    scale.make_reading_call(dict(images=6, points=1.5))()
    content = json.loads((kept / 'points.json').read_text())
    assert len(content['images']) == 6 and len(content['annotations']) == 9


def test_points_are_split_and_merged(kept):
    scale.make_parts_call(dict(images=6, points=2))()
    assert len(list(kept.glob('points_?of4.json'))) == 4
    content, merged = (json.loads((kept / f'{n}.json').read_text()) for n in ('points', 'merged'))
    assert merged['images'] == content['images']
    assert len(merged['annotations']) == len(content['annotations']) == 12
