import numpy as np

from mmp2seg.evaluation.functional import mean_iou as module
from mmp2seg.ops import semantic_iou


def test_offers_the_functions_of_ops():
    for name in ('confusion_matrix', 'mean_iou', 'per_class_iou'):
        assert getattr(module, name) is getattr(semantic_iou, name)


def test_mean_iou_with_ignored_pixels():
    target = np.array([[0, 1, 255]])
    matrix = module.confusion_matrix(np.array([[0, 0, 1]]), target, num_classes=1)
    assert module.mean_iou(matrix) == (1 / 2 + 0) / 2
