"""Metrics; importing this package registers them."""

from mmp2seg.evaluation.metrics import (
    MissingAdjacentMetric,
    PseudoLabelWriter,
    PseudoMaskMetric,
    VOCInstanceMetric,
)

__all__ = ['MissingAdjacentMetric', 'PseudoLabelWriter', 'PseudoMaskMetric', 'VOCInstanceMetric']
