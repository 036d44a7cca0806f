"""The version of mmp2seg, in one place."""

__version__ = '0.1.0'
