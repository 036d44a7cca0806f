"""Figures of a file of predictions equal those of the metrics and of pycocotools."""

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmp2seg.evaluation.functional.instance_report import COCO_FIGURES, coco_ap, compare_instances
from mmp2seg.evaluation.functional.instance_tables import found_figures, voc_figures
from mmp2seg.evaluation.functional.missing_adjacent import AdjacentObjects
from mmp2seg.evaluation.functional.prediction_file import PredictionFile
from mmp2seg.evaluation.functional.truth_file import TruthFile
from mmp2seg.evaluation.functional.voc_instance_ap import IOU_THRESHOLDS
from mmp2seg.evaluation.metrics import MissingAdjacentMetric, VOCInstanceMetric
from mmp2seg.ops.rle import decode_rle, encode_rle

SIZE = 60
CATEGORIES = [{'id': 4, 'name': 'cat'}, {'id': 7, 'name': 'dog'}, {'id': 9, 'name': 'cow'}]


@pytest.fixture
def files(tmp_path):
    """Write a truth with objects of all sizes and crowds, and predictions with equal scores."""
    rng = np.random.default_rng(5)
    annotations, results = [], []
    for image_id in (3, 1, 2):
        for _ in range(5):
            mask = np.zeros((SIZE, SIZE), dtype=bool)
            y, x, height, width = rng.integers([0, 0, 10, 10], [20, 20, 40, 40])
            mask[y : y + height, x : x + width] = True
            category_id, crowd = int(rng.choice([4, 7])), int(rng.random() < 0.15)
            entry = {'image_id': image_id, 'category_id': category_id}
            truth = {'id': len(annotations) + 1, 'area': int(mask.sum()), 'iscrowd': crowd}
            annotations.append({**entry, **truth, 'segmentation': encode_rle(mask)})
            for _ in range(rng.integers(0, 3)):
                moved = encode_rle(np.roll(mask, rng.integers(-4, 5), 1))
                score = float(rng.integers(1, 5) / 4)
                results.append({**entry, 'segmentation': moved, 'score': score})
    images = [{'id': i, 'file_name': f'{i}.png', 'height': SIZE, 'width': SIZE} for i in (1, 2, 3)]
    content = {'images': images, 'categories': CATEGORIES, 'annotations': annotations}
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    (tmp_path / 'pred.json').write_text(json.dumps(results))
    return tmp_path, results


def figures_of_metric(metric, results):
    metric.dataset_meta = {'classes': tuple(category['name'] for category in CATEGORIES)}
    labels = {category['id']: label for label, category in enumerate(CATEGORIES)}
    for image_id in (3, 1, 2):
        own = [entry for entry in results if entry['image_id'] == image_id]
        masks = np.stack([decode_rle(entry['segmentation']) for entry in own])
        pred = {
            'masks': torch.from_numpy(masks),
            'labels': torch.tensor([labels[entry['category_id']] for entry in own]),
            'scores': torch.tensor([entry['score'] for entry in own]),
        }
        metric.process(None, [{'img_id': image_id, 'pred_instances': pred}])
    figures = metric.evaluate(3)
    return {key.split('/')[1]: value for key, value in figures.items()}


def test_the_same_figures_as_the_metrics(files):
    folder, results = files
    truth = TruthFile(folder / 'truth.json')
    pred = PredictionFile(folder / 'pred.json', truth)
    seen = []
    report = compare_instances(
        pred, AdjacentObjects(truth), track=lambda ids: seen.append(ids) or ids
    )
    assert seen == [[1, 2, 3]] and report.num_predictions == len(results)
    voc = figures_of_metric(VOCInstanceMetric(str(folder / 'truth.json')), results)
    assert voc_figures(report.aps, IOU_THRESHOLDS) == voc and 0 < voc['mAP50'] < 100
    found = figures_of_metric(MissingAdjacentMetric(str(folder / 'truth.json')), results)
    assert found_figures(report.found) == found and found['num_adjacent'] > 0


def test_coco_ap_is_that_of_pycocotools(files):
    folder, _ = files
    found = coco_ap(PredictionFile(folder / 'pred.json', TruthFile(folder / 'truth.json')))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / 'truth.json'))
        direct = COCOeval(truth, truth.loadRes(str(folder / 'pred.json')), 'segm')
        direct.evaluate()
        direct.accumulate()
        direct.summarize()
    stats = [np.nan if value == -1 else value for value in direct.stats[:6]]
    np.testing.assert_allclose([found[name] for name in COCO_FIGURES], stats)
    assert 0 < found['AP50'] < 1


def test_only_images_of_the_predictions_and_no_predictions(files):
    folder, _ = files
    truth = TruthFile(folder / 'truth.json')
    own = [{**entry, 'image_id': 2} for entry in truth.annotations_of(2) if not entry['iscrowd']]
    labels = {
        'images': [{'id': 2, 'file_name': '2.png'}],
        'categories': CATEGORIES,
        'annotations': [{**entry, 'score': 1} for entry in own],
    }
    (folder / 'labels.json').write_text(json.dumps(labels))
    pred = PredictionFile(folder / 'labels.json', truth)
    report = compare_instances(pred, AdjacentObjects(truth))
    assert report.found['num_objects'] == len(own) and report.found['missing_rate_iou50'] == 0
    assert coco_ap(pred)['AP'] == pytest.approx(1)
    (folder / 'labels.json').write_text('[]')
    nothing = PredictionFile(folder / 'labels.json', truth)
    assert coco_ap(nothing)['AP'] == 0
    assert compare_instances(nothing, AdjacentObjects(truth)).found['missing_rate_iou50'] == 1
