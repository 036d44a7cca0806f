"""Two processes of which one has no points, or no images at all."""

import datetime
import json

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.runner import Runner
from torch import nn

from mmp2seg.registry import MODELS
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc
from tests.models.test_edge_cases import IMAGES, _sample

WORLD_SIZE = 2
# the images of each rank in each step
STEPS = [
    (['single-pixels'], ['empty']),
    (['ignored'], ['all-foreground']),
    (['empty'], ['ignored']),
    (['ignored-with-points'], ['regions-without-points']),
    (['single-pixels', 'empty'], ['ignored', 'ignored']),
    (['all-foreground'], ['single-pixels']),
]
DISTILLERS = {
    'paper': dict(type='mmp2seg.MutualDistiller'),
    'guided': dict(
        type='mmp2seg.MutualDistiller',
        instance_scorer=dict(affinity=dict(type='mmp2seg.GuidedAffinity', use_embedding=True)),
        semantic_use='semantic',
    ),
}
NUM_IMAGES = (1, 3)  # of the test: fewer than ranks, and an odd number


class AllReduceBN(nn.BatchNorm2d):
    """Batch norm over all ranks, as SyncBN, which needs CUDA: two collectives per call and step."""

    calls = 0

    def forward(self, values):
        if not self.training:
            return super().forward(values)
        type(self).calls += 1
        count = values.numel() / values.shape[1]
        sums = torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
        sums = torch.distributed.nn.all_reduce(sums) / (count * WORLD_SIZE)
        mean, square = sums.chunk(2)
        scale = self.weight * (square - mean.square() + self.eps).rsqrt()
        return values * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]


def _train(rank, distiller):
    """Train as DistributedDataParallel does; return the sums of the gradients of each step."""
    torch.manual_seed(0)
    config = tiny_p2seg_config(distiller=DISTILLERS[distiller])
    config['backbone']['norm_cfg'] = dict(type='AllReduceBN')
    model = MODELS.build(config)
    network = nn.parallel.DistributedDataParallel(model)  # find_unused_parameters=False
    found = []
    for names in STEPS:
        batch = pseudo_collate([_sample(name) for name in names[rank]])
        data = model.data_preprocessor(batch, True)
        network.zero_grad()
        sum(network(**data, mode='loss').values()).backward()
        gradients = [parameter.grad for parameter in model.parameters()]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
        found.append(sum(gradient.abs().sum().item() for gradient in gradients))
    return found, AllReduceBN.calls


def _test(folder, num_images, name):
    """Make pseudo labels and a semantic mIoU of the first images with mmengine's runner."""
    dataset = dict(type='mmp2seg.PointVOCDataset', **write_or_find(folder), indices=num_images)
    dataset['pipeline'] = [
        dict(type='mmcv.LoadImageFromFile'),
        dict(type='mmp2seg.LoadPointAnnotations'),
        dict(type='mmp2seg.PackPointInputs'),
    ]
    torch.manual_seed(0)
    runner = Runner(
        model=tiny_p2seg_config(test_cfg=dict(return_maps=True)),
        work_dir=f'{folder}/{name}',
        default_scope='mmdet',
        test_dataloader=dict(
            dataset=dataset,
            batch_size=2,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
        ),
        test_cfg=dict(),
        test_evaluator=dict(
            type='mmp2seg.PseudoLabelWriter', outfile=f'{folder}/{name}_{num_images}.json'
        ),
        randomness=dict(seed=0),
        experiment_name=f'{name}_{num_images}',
        log_level='ERROR',
    )
    return {key: value for key, value in runner.test().items() if 'time' not in key}


def write_or_find(folder):
    return json.loads((folder / 'voc.json').read_text())


def _run(rank, folder):
    from pathlib import Path

    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/store',
        rank=rank,
        world_size=WORLD_SIZE,
        timeout=datetime.timedelta(seconds=60),  # collectives that do not match end with an error
    )
    ROOT_MODELS.register_module(module=AllReduceBN)
    found = {distiller: _train(rank, distiller) for distiller in DISTILLERS}
    found['test'] = {str(num): _test(Path(folder), num, 'ranks') for num in NUM_IMAGES}
    torch.distributed.destroy_process_group()
    Path(folder, f'rank_{rank}.json').write_text(json.dumps(found))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ranks')
    (folder / 'voc').mkdir()
    (folder / 'voc.json').write_text(json.dumps(write_tiny_voc(folder / 'voc')))
    torch.multiprocessing.spawn(_run, (str(folder),), nprocs=WORLD_SIZE)
    return folder


def _found(folder):
    return [json.loads((folder / f'rank_{rank}.json').read_text()) for rank in range(WORLD_SIZE)]


@pytest.mark.parametrize('distiller', DISTILLERS)
def test_ranks_without_points_call_the_same_collectives(folder, distiller):
    (first, calls), (second, other_calls) = (found[distiller] for found in _found(folder))
    assert calls == other_calls > 0
    assert first == second  # the same mean gradients everywhere
    assert all(value > 0 for value in first)
    assert {name for step in STEPS for names in step for name in names} <= set(IMAGES)


@pytest.mark.parametrize('num_images', NUM_IMAGES)
def test_a_rank_with_fewer_images_or_none_gives_the_labels_of_one_process(folder, num_images):
    expected = _test(folder, num_images, 'alone')
    assert [found['test'][str(num_images)] for found in _found(folder)] == [expected] * WORLD_SIZE
    labels = [(folder / f'{name}_{num_images}.json').read_bytes() for name in ('alone', 'ranks')]
    assert labels[0] == labels[1]
    content = json.loads(labels[0])
    assert len(content['images']) == num_images
    assert [category['name'] for category in content['categories']] == list(TINY_CLASSES)
