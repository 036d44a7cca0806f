"""Mean IoU of semantic maps.

The maths is in ``ops``, since data set tools, a layer below evaluation, state it too.
"""

from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou, per_class_iou

__all__ = ['confusion_matrix', 'mean_iou', 'per_class_iou']
