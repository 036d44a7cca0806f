"""Helpers for the tests of this package and of packages that build on it."""

from mmp2seg.testing.tiny import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc

__all__ = ['TINY_CLASSES', 'tiny_p2seg_config', 'write_tiny_voc']
