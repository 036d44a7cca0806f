import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'draw_stage1.py'

# a model that predicts the left half of the image for one point, and maps if they are requested
MODULE = """
import torch
from mmdet.structures import DetDataSample
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.structures import InstanceData, PixelData


@DATASETS.register_module()
class DrawData(BaseDataset):
    METAINFO = {'classes': ('cat',), 'palette': [(10, 20, 200)]}


@TRANSFORMS.register_module()
class DrawPack:
    def __call__(self, results):
        sample = DetDataSample(metainfo={**results, 'img_shape': (20, 30)})
        sample.gt_sem_seg = PixelData(sem_seg=torch.ones(1, 20, 30, dtype=torch.int64))
        return {'inputs': torch.zeros(3, 20, 30), 'data_samples': sample}


@MODELS.register_module()
class DrawModel(BaseModel):
    def __init__(self, offset_head, test_cfg=None):
        super().__init__()
        self.test_cfg = test_cfg
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, data_samples, mode):
        assert mode == 'predict' and self.test_cfg['return_maps'] and not self.training
        assert self.weight.item() == 1  # the checkpoint
        masks = torch.zeros(1, 20, 30, dtype=torch.bool)
        masks[..., :15] = True
        for sample in data_samples:
            sample.pred_instances = InstanceData(
                masks=masks, labels=torch.tensor([0]), points=torch.tensor([[5.0, 5.0]])
            )
            sample.pred_sem_seg = PixelData(sem_seg=masks.long())
            sample.pred_offset = PixelData(offset=torch.ones(2, 20, 30))
        return data_samples
"""

CONFIG = """
custom_imports = dict(imports=['draw_toy'])
default_scope = 'mmdet'
dataset = dict(type='DrawData', ann_file='images.json', pipeline=[dict(type='DrawPack')])
test_dataloader = dict(dataset=dataset)
broken = dict(type='DrawData', ann_file='images.json', pipeline=[dict(type='NoSuchTransform')])
train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2, dataset=broken))
model = dict(type='DrawModel', offset_head=None)
"""


def draw(folder, *options):
    env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), str(folder)])}
    args = [TOOL, 'config.py', 'model.pth', '--out-dir', 'out', '--device', 'cpu', *options]
    done = subprocess.run(
        [sys.executable, *args], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    out = folder / 'out'
    return sorted(str(path.relative_to(out)) for path in out.rglob('*.png'))


def test_one_picture_per_image(tmp_path):
    (tmp_path / 'draw_toy.py').write_text(MODULE)
    (tmp_path / 'config.py').write_text(CONFIG)
    torch.save({'state_dict': {'weight': torch.ones(1)}}, tmp_path / 'model.pth')
    image_path = str(tmp_path / 'image.png')
    cv2.imwrite(image_path, np.full((20, 30, 3), (200, 90, 10), np.uint8))
    names = ['a/1.png', 'a/2.png', 'b/1.png', 'b/2.png', 'b/1.jpg']
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(Path(image_path).read_bytes())
    samples = [
        {
            'img_path': str(tmp_path / name),
            'file_name': name,
            'img_id': index,
            'ori_shape': [20, 30],
        }
        for index, name in enumerate(names)
    ]
    (tmp_path / 'images.json').write_text(json.dumps({'metainfo': {}, 'data_list': samples}))
    polygon = [[0, 0, 10, 0, 10, 10, 0, 10]]
    truth = {
        'images': [
            {'id': i, 'file_name': name, 'height': 20, 'width': 30} for i, name in enumerate(names)
        ],
        'categories': [{'id': 1, 'name': 'cat'}],
        'annotations': [{'id': 1, 'image_id': 0, 'category_id': 1, 'segmentation': polygon}],
    }
    (tmp_path / 'truth.json').write_text(json.dumps(truth))

    # the training pipeline does not exist: the tool uses that of the test set
    options = ['--num', '3', '--split', 'train', '--truth', 'truth.json']
    assert draw(tmp_path, *options) == ['a/1.png.png', 'b/1.jpg.png', 'b/1.png.png']
    picture = cv2.imread(str(tmp_path / 'out' / 'a' / '1.png.png'))
    assert picture.shape[0] > 640  # two rows of panels
    assert picture[300, 400].tolist() == [200, 90, 10]  # the image itself, colours in order
