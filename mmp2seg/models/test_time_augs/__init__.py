"""Test-time augmentation."""

from mmp2seg.models.test_time_augs.p2seg_tta import P2SegTTA

__all__ = ['P2SegTTA']
