"""Detectors: whole networks, which read and write data samples."""

from mmp2seg.models.detectors.p2seg import P2Seg

__all__ = ['P2Seg']
