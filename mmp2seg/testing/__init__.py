"""Helpers for tests, of this package and of those that build on it: tiny models and data."""

from mmp2seg.testing.tiny_data import TINY_CLASSES, write_tiny_voc
from mmp2seg.testing.tiny_model import tiny_p2seg_config

__all__ = ['TINY_CLASSES', 'tiny_p2seg_config', 'write_tiny_voc']
