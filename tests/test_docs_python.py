"""The code of docs/python.md runs as written, one block after the other."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from mmp2seg.files.index_png import read_index_png
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs' / 'python.md'


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """The files that the page names, with random weights instead of ImageNet's."""
    (tmp_path / 'examples').symlink_to(ROOT / 'examples')
    segmenter = dict(
        type='mmp2seg.PointSegmenter',
        backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)),
        long_side=96,
        spacing=1.0,
    )
    (tmp_path / 'point_segmenter').mkdir()
    Config(dict(default_scope='mmdet', model=segmenter)).dump(
        tmp_path / 'point_segmenter' / 'efficientnet-lite0.py'
    )
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmp2seg.LoadPointAnnotations'),
        dict(type='mmp2seg.PackPointInputs'),
    ]
    dataset = dict(
        type='mmp2seg.PointCocoDataset', metainfo=dict(classes=['nucleus']), pipeline=pipeline
    )
    model = tiny_p2seg_config(num_classes=1)
    folder = tmp_path / 'work_dirs' / 'nuclei'
    folder.mkdir(parents=True)
    cfg = dict(default_scope='mmdet', model=model, test_dataloader=dict(dataset=dataset))
    Config(cfg).dump(folder / 'stage1.py')
    torch.manual_seed(0)
    state = MODELS.build(model).state_dict()
    save_checkpoint(dict(state_dict=state), str(folder / 'iter_500.pth'))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_code_of_the_page_runs(clone):
    blocks = re.findall(r'```python\n(.*?)```', PAGE.read_text(), re.DOTALL)
    assert len(blocks) == 6
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), 'exec'), names)
    folder = clone / 'work_dirs' / 'python'
    assert len(names['result']) + len(names['result'].dropped) == 2
    assert read_index_png(folder / 'instances.png').max() == 2
    assert names['picture'].dtype == np.uint8 and names['picture'].ndim == 3
    assert names['both'].rles and names['first'].labels.tolist() == [0]
    content = load(folder / 'labels.json')
    assert len(content['images']) == 12
    assert len(content['annotations']) + len(content['dropped_points']) == 351
    scores = [annotation['score'] for annotation in load(folder / 'good.json')['annotations']]
    assert scores and min(scores) >= 0.5
