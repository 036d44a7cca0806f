import json

import numpy as np
import pytest
import torch

from mmp2seg.evaluation.metrics import PseudoMaskMetric
from mmp2seg.ops.rle import encode_rle
from mmp2seg.registry import METRICS

SIZE = 8


def columns(start, stop):
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[:, start:stop] = True
    return mask


def sample(image_id, masks=(), labels=(), points=()):
    return {
        'img_id': image_id,
        'pred_instances': {
            'masks': torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, SIZE, SIZE)),
            'labels': torch.tensor(labels, dtype=torch.int64),
            'scores': torch.ones(len(masks)),
            'points': torch.tensor(points, dtype=torch.float32).reshape(-1, 2),
            'point_ids': torch.arange(len(masks)) + 1,
        },
    }


@pytest.fixture
def ann_file(tmp_path):
    def annotation(ann_id, image_id, mask, category, point):
        return {
            'id': ann_id,
            'image_id': image_id,
            'category_id': category,
            'segmentation': encode_rle(mask),
            'point': point,
        }

    content = {
        'images': [
            {'id': i, 'file_name': f'{i}.png', 'height': SIZE, 'width': SIZE} for i in (1, 2, 3)
        ],
        'categories': [{'id': 4, 'name': 'dog'}, {'id': 6, 'name': 'cat'}],
        'annotations': [
            annotation(1, 1, columns(0, 4), 6, [1, 1]),
            annotation(2, 1, columns(4, 8), 6, [6, 1]),
            annotation(3, 2, columns(0, 3), 4, [1, 1]),
        ],
    }
    path = tmp_path / 'truth.json'
    path.write_text(json.dumps(content))
    return str(path)


def evaluate(ann_file, samples, classes=('cat', 'dog'), **kwargs):
    metric = METRICS.build({'type': 'mmp2seg.PseudoMaskMetric', 'ann_file': ann_file, **kwargs})
    assert isinstance(metric, PseudoMaskMetric)
    metric.dataset_meta = {'classes': classes}
    metric.process(None, samples)
    return metric.evaluate(len(samples))


# image 1: two touching objects with IoU 1 and 1/4; image 2: IoU 2/3
SAMPLES = [
    sample(1, [columns(0, 4), columns(7, 8)], [0, 0], [[1, 1], [6, 1]]),
    sample(2, [columns(1, 3)], [1], [[1, 1]]),
]


def test_figures_by_hand(ann_file):
    assert evaluate(ann_file, SAMPLES) == {
        'pseudo_masks/mean_iou': 63.89,
        'pseudo_masks/mean_iou_touching': 62.5,
        'pseudo_masks/num_iou50': 2,
        'pseudo_masks/num_iou70': 1,
        'pseudo_masks/num_iou90': 1,
        'pseudo_masks/found_touching_iou50': 50.0,
        'pseudo_masks/num_objects': 3,
        'pseudo_masks/num_touching': 2,
    }


def test_batches_copies_and_order_do_not_matter(ann_file):
    expected = evaluate(ann_file, SAMPLES)
    assert evaluate(ann_file, [SAMPLES[1], SAMPLES[0], SAMPLES[1]]) == expected


def test_objects_of_an_image_without_instances_count_as_0(ann_file):
    figures = evaluate(ann_file, [SAMPLES[0], sample(2), sample(3)])
    assert figures['pseudo_masks/num_objects'] == 3
    assert figures['pseudo_masks/mean_iou'] == 41.67


def test_labels_follow_the_names_of_the_classes(ann_file):
    figures = evaluate(ann_file, SAMPLES, classes=('dog', 'cat'))
    assert figures['pseudo_masks/mean_iou'] == 0


def test_gap_and_match_are_handed_on(ann_file):
    assert evaluate(ann_file, SAMPLES, gap=0)['pseudo_masks/num_touching'] == 0
    # the instance of image 2 has point id 1, but its object has id 3
    assert evaluate(ann_file, SAMPLES, match='point_id')['pseudo_masks/mean_iou'] == 41.67


def test_nothing_gives_nan_and_no_crash(ann_file):
    figures = evaluate(ann_file, [sample(3)])
    assert figures['pseudo_masks/num_objects'] == 0
    assert np.isnan(figures['pseudo_masks/mean_iou'])


def test_errors(ann_file):
    with pytest.raises(ValueError, match='truth.json: image 7 is not among its images'):
        evaluate(ann_file, [sample(7)])
    with pytest.raises(ValueError, match=r"got none for \['cow'\]"):
        evaluate(ann_file, SAMPLES, classes=('cat', 'cow'))
    with pytest.raises(ValueError, match="got 'iou'"):
        evaluate(ann_file, SAMPLES, match='iou')
