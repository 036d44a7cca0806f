import pytest
import torch

from mmp2seg.evaluation.metrics.prediction_encoding import (
    category_ids_of_labels,
    encode_detections,
    warn_of_category_order,
)
from mmp2seg.ops.rle import encode_rle


def detections(**fields):
    pred = {
        'masks': torch.eye(3, 4, dtype=torch.bool)[None].repeat(3, 1, 1),
        'labels': torch.tensor([1, 0, 1]),
        'scores': torch.tensor([0.2, 0.9, 0.9]),
        **fields,
    }
    return {'img_id': 3, 'img_path': 'a.jpg', 'pred_instances': pred}


def test_detections_without_points():
    masks, scores = encode_detections(detections(), [10, 20])
    assert masks.category_ids.tolist() == [20, 10, 20]
    assert scores.tolist() == pytest.approx([0.2, 0.9, 0.9])
    assert masks.rles == [encode_rle(torch.eye(3, 4).numpy())] * 3
    masks, _ = encode_detections(detections(), [10, 20], max_per_image=1)
    assert masks.category_ids.tolist() == [10]
    masks, _ = encode_detections(detections(), [10, 20], score_thr=0.3)
    assert masks.category_ids.tolist() == [10, 20]


def test_no_detections():
    none = {key: value[:0] for key, value in detections()['pred_instances'].items()}
    masks, scores = encode_detections(detections(**none), [10, 20])
    assert masks.rles == [] and scores.shape == masks.category_ids.shape == (0,)


def test_rle_and_mask_scores_as_mmdet_has_them():
    rles = [encode_rle(torch.eye(3, 4).numpy())] * 3
    sample = detections(masks=rles, mask_scores=torch.tensor([0.5, 0.0, 0.25]))
    masks, scores = encode_detections(sample, [10, 20])
    assert masks.rles == rles and scores.tolist() == [0.5, 0, 0.25]


@pytest.mark.parametrize(
    ('fields', 'message'),
    [
        ({'labels': torch.tensor([0, 2, 1])}, r'expected labels in 0\.\.1, got 2'),
        ({'labels': torch.tensor([0, -1, 1])}, r'expected labels in 0\.\.1, got -1'),
        ({'labels': torch.tensor([0])}, r'as many masks as labels and scores, got \[3, 1, 3\]'),
        ({'scores': torch.tensor([0, float('nan'), 0])}, 'expected numbers as scores, got nan'),
    ],
)
def test_wrong_detections_name_the_image(fields, message):
    with pytest.raises(ValueError, match=rf'image 3 \(a\.jpg\): .*{message}'):
        encode_detections(detections(**fields), [10, 20])


def test_a_detector_of_boxes_has_no_masks():
    sample = detections()
    del sample['pred_instances']['masks']
    with pytest.raises(ValueError, match=r"expected predicted masks, got \['labels', 'scores'\]"):
        encode_detections(sample, [10, 20])


def test_categories_follow_the_classes():
    categories = [{'id': 4, 'name': 'dog'}, {'id': 6, 'name': 'cat'}]
    assert category_ids_of_labels(categories, {'classes': ('cat', 'dog')}) == [6, 4]
    assert category_ids_of_labels(categories, None) == [4, 6]


@pytest.mark.parametrize(
    ('classes', 'warned'), [(('dog',), 0), (('dog', 'cat'), 0), (('cat', 'dog'), 1)]
)
def test_warning_of_another_order(classes, warned, monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmp2seg.evaluation.metrics.prediction_encoding.print_log',
        lambda message, logger, level: messages.append(message),
    )
    categories = [{'id': 4, 'name': 'dog'}, {'id': 6, 'name': 'cat'}]
    warn_of_category_order(categories, {'classes': classes})
    assert len(messages) == warned
