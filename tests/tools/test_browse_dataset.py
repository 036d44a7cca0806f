import cv2
import pytest
import torch

from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config, write_tiny_voc

from .tool_runs import run_tool

CONFIG = """
default_scope = 'mmdet'
model = {model!r}
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='mmp2seg.FindRegions'),
    dict(type='mmp2seg.PackPointInputs')]
train_dataloader = dict(dataset=dict(
    type='RepeatDataset', times=3,
    dataset=dict(type='mmp2seg.PointVOCDataset', pipeline=pipeline, **{data!r})))
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = tiny_p2seg_config()
    (tmp_path / 'config.py').write_text(CONFIG.format(model=model, data=write_tiny_voc(tmp_path)))
    torch.save({'state_dict': MODELS.build(model).state_dict()}, 'model.pth')
    return 'config.py'


def test_pictures_with_and_without_a_network(config, tmp_path):
    run_tool('browse_dataset', config, '--out', 'data', '--num', '4', '--device', 'cpu')
    names = sorted(path.name for path in (tmp_path / 'data').iterdir())
    # one image three times, by index
    assert names[0] == '000000_img_1.jpg.png' and names[-1] == '000008_img_3.jpg.png'
    assert len(names) == 4
    options = ['--out', 'net', '--num', '1', '--checkpoint', 'model.pth', '--device', 'cpu']
    run_tool('browse_dataset', config, *options)
    (with_targets,) = (tmp_path / 'net').iterdir()
    alone, more = (cv2.imread(str(path)) for path in (tmp_path / 'data' / names[0], with_targets))
    assert more.shape[0] > alone.shape[0]  # a third row


def test_mistakes_are_one_line(config):
    with pytest.raises(SystemExit) as error:
        run_tool('browse_dataset', config, '--out', 'x', '--checkpoint', 'gone.pth')
    assert error.value.code == 'browse_dataset.py: error: checkpoint not found: gone.pth'
