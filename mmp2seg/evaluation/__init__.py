"""Metrics; importing this package registers them."""

from mmp2seg.evaluation.metrics import PseudoLabelWriter, PseudoMaskMetric

__all__ = ['PseudoLabelWriter', 'PseudoMaskMetric']
