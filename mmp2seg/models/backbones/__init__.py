"""Backbones."""

from mmp2seg.models.backbones.efficientnet_lite import EfficientNetLite

__all__ = ['EfficientNetLite']
