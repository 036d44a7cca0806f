import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import nn

from mmp2seg.engine.label_refresh_hook import LabelRefreshHook
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import assemble
from mmp2seg.registry import HOOKS

SIZE = 8
NUM_IMAGES = 4


def columns(last):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[:, : last + 1] = True
    return mask


@MODELS.register_module(force=True)
class ColumnsModel(BaseModel):
    """Predicts the first columns of an image, one more with each training iteration.

    It notes the columns of the labels that it trains on.
    """

    def __init__(self):
        super().__init__()
        self.columns = nn.Parameter(torch.ones(()))
        self.seen = []

    def forward(self, inputs, data_samples, mode):
        if mode == 'loss':
            masks = [sample.gt_instances.masks.masks for sample in data_samples]
            self.seen.append([int(mask[0, 0].sum()) for mask in masks])
            return {'loss': -self.columns}  # SGD with a rate of 1 adds 1
        for sample in data_samples:
            mask = columns(int(self.columns.round()))
            sample.pred_instances = InstanceData(
                masks=torch.from_numpy(mask[None]),
                labels=torch.zeros(1, dtype=torch.long),
                scores=torch.tensor([0.9]),
            )
        return data_samples


@pytest.fixture
def labels(tmp_path):
    """Pseudo labels of images with one point, each mask with two columns."""
    images, annotations = [], []
    for image_id in range(1, NUM_IMAGES + 1):
        name = f'{image_id}.png'
        cv2.imwrite(str(tmp_path / name), np.full((SIZE, SIZE, 3), image_id, np.uint8))
        images.append({'id': image_id, 'file_name': name, 'height': SIZE, 'width': SIZE})
        annotations.append(
            {
                'image_id': image_id,
                'category_id': 7,
                'segmentation': encode_rle(columns(1)),
                'bbox': [0.0, 0.0, 2.0, SIZE],
                'area': 2 * SIZE,
                'iscrowd': 0,
                'score': 0.6,
                'point': [0.5, 3.5],
                'point_id': image_id,
            }
        )
    content = assemble(images, [{'id': 7, 'name': 'bar'}], annotations, [], {})
    path = tmp_path / 'labels.json'
    path.write_text(json.dumps(content))
    return path


def config(labels, work_dir, *, by_epoch=False, hooks=(), **refresh):
    load = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    ]
    pack = dict(type='PackDetInputs', meta_keys=('img_id',))
    dataset = dict(
        type='CocoDataset',
        metainfo=dict(classes=('bar',)),
        data_root=str(labels.parent),
        ann_file=labels.name,
        data_prefix=dict(img=''),
        pipeline=[*load, pack],
    )
    sampler = 'DefaultSampler' if by_epoch else 'mmp2seg.SeededInfiniteSampler'
    loop = dict(by_epoch=True, max_epochs=3) if by_epoch else dict(by_epoch=False, max_iters=6)
    return ConfigDict(
        default_scope='mmdet',
        model=dict(type='mmengine.ColumnsModel'),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type=sampler, shuffle=True),
            dataset=dict(type='RepeatDataset', times=1, dataset=dataset) if by_epoch else dataset,
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg=loop,
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1.0)),
        custom_hooks=[
            *hooks,
            dict(
                type='mmp2seg.LabelRefreshHook',
                **{'milestones': [2], 'pipeline': [load[0], pack], **refresh},
            ),
        ],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1),
            logger=None,
        ),
        randomness=dict(seed=5),
        experiment_name=f'{work_dir.name}_{by_epoch}',
    )


def train(cfg):
    runner = Runner.from_cfg(cfg)
    return runner, runner.train().seen


def widths(path):
    content = json.loads(path.read_text())
    return [int(ann['bbox'][2]) for ann in content['annotations']]


def test_a_training_by_iterations_goes_on_with_the_new_labels(labels, tmp_path):
    before = labels.read_text()
    _, seen = train(config(labels, tmp_path / 'run'))
    # after two iterations the network predicts the columns 0..3, and its IoU is 2/4
    assert seen[:2] == [[2, 2]] * 2
    assert seen[2:] == [[4, 4]] * 4
    path = tmp_path / 'run' / 'refreshed_labels' / '2.json'
    assert widths(path) == [4] * NUM_IMAGES
    content = json.loads(path.read_text())
    assert content['info']['refreshed'] == [{'milestone': 2, 'num_replaced': 4, 'num_found': 0}]
    assert {ann['refreshed'] for ann in content['annotations']} == {2}
    assert labels.read_text() == before


def test_a_training_by_epochs(labels, tmp_path):
    _, seen = train(config(labels, tmp_path / 'run', by_epoch=True, milestones=[1]))
    assert seen == [[2, 2]] * 2 + [[4, 4]] * 4  # two iterations an epoch


def test_several_refreshes_start_from_the_last_labels(labels, tmp_path):
    _, seen = train(config(labels, tmp_path / 'run', milestones=[2, 3], min_iou=0.5))
    # the score of the second prediction is not above that of the first
    assert seen[3:] == [[4, 4]] * 3
    content = json.loads((tmp_path / 'run' / 'refreshed_labels' / '3.json').read_text())
    assert [entry['num_replaced'] for entry in content['info']['refreshed']] == [4, 0]


def test_predictions_that_do_not_agree_change_nothing(labels, tmp_path):
    _, seen = train(config(labels, tmp_path / 'run', min_iou=0.6))
    assert seen == [[2, 2]] * 6


def test_nothing_is_refreshed_at_the_end(labels, tmp_path):
    train(config(labels, tmp_path / 'run', milestones=[6]))
    assert not (tmp_path / 'run' / 'refreshed_labels').exists()


def test_the_teacher_is_the_average_of_an_ema_hook(labels, tmp_path):
    ema = dict(type='EMAHook', momentum=0.5)
    _, seen = train(config(labels, tmp_path / 'run', hooks=[ema], milestones=[3]))
    # the network has 4 after three iterations, its average 2.75 at most, which is rounded to 3
    assert seen[3:] == [[4, 4]] * 3


@pytest.mark.parametrize('iteration', [1, 2, 4])
def test_a_resumed_training_has_the_labels_of_its_checkpoint(labels, tmp_path, iteration):
    work_dir = tmp_path / 'run'
    whole, _ = train(config(labels, work_dir))
    cfg = config(labels, work_dir)
    cfg.load_from, cfg.resume = str(work_dir / f'iter_{iteration}.pth'), True
    cfg.experiment_name = f'resumed_{iteration}'
    resumed, seen = train(cfg)
    assert seen == [[2, 2]] * max(0, 2 - iteration) + [[4, 4]] * (6 - max(iteration, 2))
    assert resumed.model.columns == whole.model.columns


def test_the_order_of_the_images_goes_on(labels, tmp_path, monkeypatch):
    """The new loader starts where the old one stopped."""
    orders = []
    for name, milestones in (('with', [2]), ('without', [6])):
        order = []

        def note(self, inputs, order=order):
            order.append([int(image[0, 0, 0]) for image in inputs])

        cfg = config(labels, tmp_path / name, milestones=milestones)
        inner = ColumnsModel.forward

        def forward(self, inputs, data_samples, mode, inner=inner, note=note):
            if mode == 'loss':
                note(self, inputs)
            return inner(self, inputs, data_samples, mode)

        monkeypatch.setattr(ColumnsModel, 'forward', forward)
        train(cfg)
        monkeypatch.setattr(ColumnsModel, 'forward', inner)
        orders.append(order)
    assert orders[0] == orders[1]
    assert len({tuple(batch) for batch in orders[0]}) > 1


def test_labels_that_are_no_pseudo_labels_are_refused_before_the_training(labels, tmp_path):
    content = json.loads(labels.read_text())
    for ann in content['annotations']:
        del ann['point']
    labels.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'labels\.json: annotations\[0\].*point'):
        train(config(labels, tmp_path / 'run'))


def test_several_train_datasets_are_refused(labels, tmp_path):
    cfg = config(labels, tmp_path / 'run')
    one = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[one, one])
    with pytest.raises(ValueError, match='expected one train dataset of pseudo labels, got a Conc'):
        train(cfg)


@pytest.mark.parametrize('milestones', [[], [3, 2], [2, 2], [0]])
def test_milestones_are_checked(milestones):
    with pytest.raises(ValueError, match='expected ascending milestones'):
        LabelRefreshHook(milestones)


def test_the_config_must_say_how_images_are_loaded(labels, tmp_path):
    with pytest.raises(ValueError, match='expected the pipeline or a test_dataloader'):
        train(config(labels, tmp_path / 'run', pipeline=None))


def test_it_is_registered():
    assert HOOKS.get('mmp2seg.LabelRefreshHook') is LabelRefreshHook
