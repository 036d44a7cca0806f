"""Detectors: whole networks that open data samples."""

from mmp2seg.models.detectors.p2seg import P2Seg

__all__ = ['P2Seg']
