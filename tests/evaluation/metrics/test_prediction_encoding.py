import pytest
import torch

from mmp2seg.evaluation.metrics.prediction_encoding import (
    check_each_point_once,
    encode_dropped,
    encode_predictions,
)

SAMPLE = {
    'img_id': 3,
    'file_name': 'a.jpg',
    'gt_instances': {'point_ids': torch.tensor([4, 9])},
    'pred_instances': {
        'masks': torch.tensor([[[True, False], [True, False]]], requires_grad=False),
        'labels': torch.tensor([1]),
        'scores': torch.tensor([0.5], requires_grad=True),
        'points': torch.tensor([[0.5, 0.5]]),
        'point_ids': torch.tensor([9]),
    },
    'dropped_points': {
        'points': torch.tensor([[0.25, 0.5]]),
        'labels': torch.tensor([0]),
        'point_ids': torch.tensor([4]),
        'reasons': ['no_region'],
    },
}


def test_tensors_become_entries():
    (ann,) = encode_predictions(SAMPLE, [10, 20])
    assert (ann['image_id'], ann['category_id'], ann['point_id']) == (3, 20, 9)
    assert (ann['bbox'], ann['area'], ann['score']) == ([0, 0, 1, 2], 2, 0.5)
    assert encode_dropped(SAMPLE, [10, 20]) == [
        {
            'image_id': 3,
            'category_id': 10,
            'point': [0.25, 0.5],
            'point_id': 4,
            'reason': 'no_region',
        }
    ]


def test_sample_without_dropped_points():
    assert encode_dropped({'img_id': 3}, [10, 20]) == []
    assert encode_dropped({'img_id': 3, 'dropped_points': {}}, [10, 20]) == []


def test_each_point_needs_one_entry():
    anns, dropped = encode_predictions(SAMPLE, [1, 2]), encode_dropped(SAMPLE, [1, 2])
    check_each_point_once(SAMPLE, anns, dropped)
    message = r'image 3 \(a\.jpg\): .* of the points \[4, 9\], got '
    for wrong in ((anns, []), ([], dropped), (anns * 2, dropped), (anns, dropped + anns)):
        with pytest.raises(AssertionError, match=message):
            check_each_point_once(SAMPLE, *wrong)
