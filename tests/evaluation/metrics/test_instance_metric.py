import json

import numpy as np
import pytest
import torch

from mmp2seg.evaluation.metrics.instance_metric import InstanceMetric
from mmp2seg.ops.rle import encode_rle

SHAPE = (4, 4)


class Recorder(InstanceMetric):
    default_prefix = 'test'

    def compare(self, image):
        masks = [part.category_ids.tolist() for part in (image.pred, image.objects, image.crowds)]
        return {'seen': (image.image_id, *masks, image.scores.tolist())}

    def compute_over_images(self, results):
        return {'seen': [result['seen'] for result in results]}


def sample(image_id, labels=(), scores=(), shape=SHAPE):
    pred = {
        'masks': torch.ones(len(labels), *shape, dtype=torch.bool),
        'labels': torch.tensor(labels, dtype=torch.int64),
        'scores': torch.tensor(scores, dtype=torch.float64),
    }
    return {'img_id': image_id, 'pred_instances': pred}


@pytest.fixture
def evaluate(tmp_path):
    """Return what ``compare`` got, for a truth with two dogs, a cat and a crowd of cats."""
    categories = [{'id': 3, 'name': 'dog'}, {'id': 7, 'name': 'cat'}]
    mask = encode_rle(np.ones(SHAPE, dtype=bool))
    annotations = [
        {'id': i, 'image_id': 1, 'category_id': c, 'segmentation': mask, 'iscrowd': crowd}
        for i, (c, crowd) in enumerate([(3, 0), (7, 0), (3, 0), (7, 1)])
    ]
    images = [{'id': i, 'file_name': f'{i}.jpg', 'height': 4, 'width': 4} for i in (1, 2)]
    content = {'images': images, 'categories': categories, 'annotations': annotations}
    (tmp_path / 'truth.json').write_text(json.dumps(content))

    def run(samples, classes, score_thr=0.0, max_per_image=None):
        metric = Recorder(
            str(tmp_path / 'truth.json'),
            score_thr=score_thr,
            max_per_image=max_per_image,
            collect_device='cpu',
            prefix=None,
            collect_dir=None,
        )
        metric.dataset_meta = {'classes': classes}
        metric.process(None, samples)
        return metric.evaluate(len(samples))['test/seen']

    return run


def test_instances_of_each_image_by_category(evaluate):
    samples = [sample(2), sample(1, [1, 0], [0.25, 0.75]), sample(2)]
    assert evaluate(samples, ('cat', 'dog')) == [
        (1, [3, 7], [3, 7, 3], [7], [0.25, 0.75]),
        (2, [], [], [], []),
    ]


def test_objects_of_other_classes_are_dropped(evaluate):
    assert evaluate([sample(1, [0], [1])], ('dog',)) == [(1, [3], [3, 3], [7], [1])]


def test_predictions_are_selected_by_score(evaluate):
    samples = [sample(1, [0, 0, 0], [0.25, 0.75, 0.5])]
    assert evaluate(samples, ('cat', 'dog'), score_thr=0.5)[0][-1] == [0.75, 0.5]
    assert evaluate(samples, ('cat', 'dog'), max_per_image=1)[0][-1] == [0.75]


def test_masks_of_another_size_are_an_error(evaluate):
    with pytest.raises(ValueError, match=r'image 1 \(1.jpg\): .* size \[4, 4\], got \[2, 2\]'):
        evaluate([sample(1, [0], [1], shape=(2, 2))], ('cat', 'dog'))
