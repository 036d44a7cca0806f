import json
import logging

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData

from mmp2seg.evaluation.metrics import VOCInstanceMetric
from mmp2seg.ops.rle import encode_rle
from mmp2seg.registry import METRICS

SIZE = 8
CLASSES = ('cat', 'dog', 'cow')


def columns(start, stop):
    mask = np.zeros((SIZE, SIZE), dtype=bool)
    mask[:, start:stop] = True
    return mask


def sample(image_id, masks=(), labels=(), scores=()):
    """Make the output of a detector of mmdet, without points."""
    data_sample = DetDataSample(metainfo={'img_id': image_id, 'img_path': f'{image_id}.png'})
    data_sample.pred_instances = InstanceData(
        masks=torch.from_numpy(np.array(masks, dtype=bool).reshape(-1, SIZE, SIZE)),
        labels=torch.tensor(labels, dtype=torch.int64),
        scores=torch.tensor(scores, dtype=torch.float32),
        bboxes=torch.zeros(len(masks), 4),
    )
    return data_sample


def write_truth(path, categories=((11, 'cat'), (3, 'dog'), (5, 'cow')), crowd=0):
    ids = {name: category for category, name in categories}
    objects = [(1, columns(0, 4), 'cat'), (1, columns(4, 8), 'cat'), (2, columns(0, 4), 'dog')]
    annotations = [
        {
            'id': index,
            'image_id': image_id,
            'category_id': ids[name],
            'segmentation': encode_rle(mask),
            'iscrowd': 0,
        }
        for index, (image_id, mask, name) in enumerate(objects, start=1)
    ]
    annotations[1]['iscrowd'] = crowd
    content = {
        'images': [
            {'id': i, 'file_name': f'{i}.png', 'height': SIZE, 'width': SIZE} for i in (1, 2, 3)
        ],
        'categories': [{'id': category, 'name': name} for category, name in categories],
        'annotations': annotations,
    }
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def ann_file(tmp_path):
    return write_truth(tmp_path / 'truth.json')


# cat: right, wrong (a duplicate), IoU 1/2 with the second object; dog: IoU 3/4; cow: no object
SAMPLES = [
    sample(
        1,
        [columns(0, 4), columns(0, 3), columns(4, 6), columns(0, 8)],
        [0, 0, 0, 2],
        [0.9, 0.8, 0.7, 1],
    ),
    sample(2, [columns(0, 3)], [1], [0.3]),
    sample(3),
]


def evaluate(ann_file, samples, classes=CLASSES, **kwargs):
    metric = METRICS.build({'type': 'mmp2seg.VOCInstanceMetric', 'ann_file': ann_file, **kwargs})
    assert isinstance(metric, VOCInstanceMetric)
    evaluator = Evaluator(metric)
    evaluator.dataset_meta = {'classes': classes}
    evaluator.process(samples)
    return evaluator.evaluate(len(samples))


def test_figures_by_hand(ann_file):
    cat = 100 * (0.5 + 0.5 * 2 / 3)
    assert evaluate(ann_file, SAMPLES) == {
        'voc/mAP25': round((cat + 100) / 2, 2),
        'voc/mAP50': round((cat + 100) / 2, 2),
        'voc/mAP70': (50 + 100) / 2,
        'voc/mAP75': (50 + 100) / 2,
    }


def test_class_by_class_with_a_table(ann_file, monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmp2seg.evaluation.metrics.voc_instance_metric.print_log',
        lambda message, logger: messages.append(message),
    )
    figures = evaluate(ann_file, SAMPLES, classwise=True, iou_thresholds=[0.5, 0.75])
    assert figures['voc/mAP50'] == 91.67
    assert (figures['voc/AP50/cat'], figures['voc/AP50/dog']) == (83.33, 100)
    assert (figures['voc/AP75/cat'], figures['voc/AP75/dog']) == (50, 100)
    assert np.isnan(figures['voc/AP50/cow'])
    (table,) = messages
    assert 'AP50' in table and 'cow' in table and '83.33' in table


def test_masks_as_rle_and_mask_scores(ann_file):
    expected = evaluate(ann_file, SAMPLES)
    samples = [data_sample.clone() for data_sample in SAMPLES]
    for data_sample in samples:
        pred = data_sample.pred_instances
        rles = [encode_rle(mask) for mask in pred.masks.numpy()]
        pred.mask_scores = pred.scores
        pred.scores = torch.rand(len(rles))
        del pred.masks
        pred.masks = rles
    assert evaluate(ann_file, samples) == expected


def test_samples_order_copies_and_classes_by_name(ann_file):
    expected = evaluate(ann_file, SAMPLES)
    assert evaluate(ann_file, [SAMPLES[1], SAMPLES[2], SAMPLES[0], SAMPLES[1]]) == expected
    turned = evaluate(ann_file, SAMPLES, classes=('dog', 'cat', 'cow'))
    assert turned['voc/mAP50'] == 0


def test_images_without_predictions_count(ann_file):
    assert evaluate(ann_file, [SAMPLES[0], sample(2)])['voc/mAP70'] == 25
    assert evaluate(ann_file, [SAMPLES[0]])['voc/mAP70'] == 50  # only tested images count
    assert np.isnan(evaluate(ann_file, [SAMPLES[2]])['voc/mAP50'])


def test_objects_of_a_class_that_the_dataset_lacks(ann_file):
    assert evaluate(ann_file, [SAMPLES[0]], classes=('cat', 'cow', 'dog'))['voc/mAP50'] == 83.33
    figures = evaluate(ann_file, [sample(1), sample(2, [columns(0, 4)], [0], [1])], classes=['dog'])
    assert figures['voc/mAP75'] == 100


def test_crowds_are_no_objects(tmp_path):
    path = write_truth(tmp_path / 'truth.json', crowd=1)
    # one object remains, with a right and a wrong prediction; the third is inside the crowd
    figures = evaluate(path, SAMPLES, classwise=True)
    assert figures['voc/AP50/cat'] == 100
    alone = evaluate(path, [sample(1, [columns(4, 6), columns(0, 4)], [0, 0], [0.9, 0.5])])
    assert alone['voc/mAP50'] == 100  # the prediction in the crowd is ignored


def test_thresholds_of_scores_and_numbers(ann_file):
    assert evaluate(ann_file, SAMPLES, score_thr=0.75)['voc/mAP50'] == 25
    assert (
        evaluate(ann_file, SAMPLES, score_thr=0.3)['voc/mAP50'] == 91.67
    )  # the score is .3 in float32
    # keeps the cow and the best cat of image 1
    assert evaluate(ann_file, SAMPLES, max_per_image=2)['voc/mAP50'] == 75


def test_order_of_categories_that_mmdet_would_read_otherwise(tmp_path, ann_file, monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmp2seg.evaluation.metrics.prediction_encoding.print_log',
        lambda message, logger, level: messages.append((level, message)),
    )
    evaluate(ann_file, SAMPLES)
    assert messages == []
    path = write_truth(tmp_path / 'turned.json', [(3, 'dog'), (11, 'cat'), (5, 'cow')])
    evaluate(path, SAMPLES)
    ((level, message),) = messages
    assert level == logging.WARNING and 'have different orders' in message


def test_errors(ann_file):
    with pytest.raises(ValueError, match='truth.json: image 7 is not among its images'):
        evaluate(ann_file, [sample(7)])
    with pytest.raises(ValueError, match=r"got none for \['cow\|pig'\]"):
        evaluate(ann_file, SAMPLES, classes=('cat', 'cow|pig'))
    with pytest.raises(ValueError, match=r'IoU thresholds in \(0, 1\], got \[50\]'):
        evaluate(ann_file, SAMPLES, iou_thresholds=[50])
    small = sample(1)
    small.pred_instances = InstanceData(
        masks=torch.ones(1, 4, 4, dtype=torch.bool), labels=torch.zeros(1), scores=torch.ones(1)
    )
    with pytest.raises(ValueError, match=r'image 1 \(1.png\): .* size \[8, 8\], got \[4, 4\]'):
        evaluate(ann_file, [small])
