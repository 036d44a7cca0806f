"""Registered metrics of mmp2seg."""

from mmp2seg.evaluation.metrics.pseudo_label_writer import PseudoLabelWriter
from mmp2seg.evaluation.metrics.pseudo_mask_metric import PseudoMaskMetric

__all__ = ['PseudoLabelWriter', 'PseudoMaskMetric']
