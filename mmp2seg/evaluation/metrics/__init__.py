"""Registered metrics of mmp2seg."""

from mmp2seg.evaluation.metrics.missing_adjacent_metric import MissingAdjacentMetric
from mmp2seg.evaluation.metrics.pseudo_label_writer import PseudoLabelWriter
from mmp2seg.evaluation.metrics.pseudo_mask_metric import PseudoMaskMetric
from mmp2seg.evaluation.metrics.semantic_map_writer import SemanticMapWriter
from mmp2seg.evaluation.metrics.voc_instance_metric import VOCInstanceMetric

__all__ = [
    'MissingAdjacentMetric',
    'PseudoLabelWriter',
    'PseudoMaskMetric',
    'SemanticMapWriter',
    'VOCInstanceMetric',
]
