"""Two processes with different numbers of images give the same figures as one."""

import json

import numpy as np
import pytest
import torch

from mmp2seg.evaluation.metrics import (
    MissingAdjacentMetric,
    PseudoMaskMetric,
    VOCInstanceMetric,
)
from mmp2seg.ops.rle import encode_rle

SIZE, NUM_IMAGES = 16, 5
CLASSES = ('cat', 'dog')
METRIC_TYPES = (VOCInstanceMetric, MissingAdjacentMetric, PseudoMaskMetric)
# images of each rank; image 4 occurs twice, as samplers repeat images to fill the last batch
PARTS = ([3, 0, 4, 1], [4, 2])


def make_image(image_id):
    """Return true masks, their labels, predicted masks and their scores."""
    rng = np.random.default_rng(image_id)
    masks = np.zeros((image_id, SIZE, SIZE), dtype=bool)  # image 0 has no objects
    for mask in masks:
        y, x = rng.integers(0, SIZE - 5, 2)
        mask[y : y + 5, x : x + 4] = True
    labels = rng.integers(0, 2, image_id)
    predicted = np.stack([np.roll(m, rng.integers(0, 3), 0) for m in masks]) if image_id else masks
    return masks, labels, predicted, rng.integers(1, 4, image_id) / 4


def sample(image_id):
    _, labels, predicted, scores = make_image(image_id)
    pred = {'masks': predicted, 'labels': labels, 'scores': scores}
    pred['point_ids'] = np.arange(len(labels)) + 100 * image_id
    pred['points'] = np.zeros((len(labels), 2))
    return {
        'img_id': image_id,
        'pred_instances': {key: torch.from_numpy(value) for key, value in pred.items()},
    }


def write_truth(path):
    annotations = []
    for image_id in range(NUM_IMAGES):
        masks, labels, *_ = make_image(image_id)
        for number, (mask, label) in enumerate(zip(masks, labels, strict=True)):
            entry = {'id': number + 100 * image_id, 'image_id': image_id}
            entry |= {'category_id': int(label) + 1, 'segmentation': encode_rle(mask)}
            annotations.append(entry)
    image = {'height': SIZE, 'width': SIZE}
    content = {
        'images': [{'id': i, 'file_name': f'{i}.png', **image} for i in range(NUM_IMAGES)],
        'categories': [{'id': i, 'name': name} for i, name in enumerate(CLASSES, start=1)],
        'annotations': annotations,
    }
    path.write_text(json.dumps(content))


def figures_of(folder, image_ids, size, **kwargs):
    """Return the figures of each metric over the images of a rank."""
    options = {PseudoMaskMetric: {'match': 'point_id'}, VOCInstanceMetric: {'classwise': True}}
    figures = {}
    for metric_type in METRIC_TYPES:
        metric = metric_type(
            ann_file=f'{folder}/truth.json', **options.get(metric_type, {}), **kwargs
        )
        metric.dataset_meta = {'classes': CLASSES}
        for image_id in image_ids:
            metric.process(None, [sample(image_id)])
        figures[metric_type.__name__] = metric.evaluate(size)
    return figures


def run_rank(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=len(PARTS)
    )
    figures = figures_of(folder, PARTS[rank], NUM_IMAGES, collect_dir=f'{folder}/collected')
    with open(f'{folder}/figures_{rank}.json', 'w') as file:
        json.dump(figures, file)
    torch.distributed.destroy_process_group()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Run two processes; return the folder with their figures."""
    folder = tmp_path_factory.mktemp('ranks')
    write_truth(folder / 'truth.json')
    torch.multiprocessing.spawn(run_rank, (str(folder),), nprocs=len(PARTS))
    return folder


@pytest.mark.parametrize('name', [metric_type.__name__ for metric_type in METRIC_TYPES])
def test_two_processes_give_the_figures_of_one(name, folder):
    expected = figures_of(folder, range(NUM_IMAGES), NUM_IMAGES)[name]
    assert any(0 < value < 100 for key, value in expected.items() if 'num' not in key)
    for rank in range(len(PARTS)):
        found = json.loads((folder / f'figures_{rank}.json').read_text())
        assert found[name] == expected
