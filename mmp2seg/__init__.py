"""mmp2seg: instance segmentation from one point per object (P2Seg, ICLR 2024)."""

from mmp2seg.version import __version__

__all__ = ['__version__']
