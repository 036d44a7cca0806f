"""Transforms: load points and weak maps, make targets, pack the data sample."""

from mmp2seg.datasets.transforms.loading import LoadPointAnnotations
from mmp2seg.datasets.transforms.packing import PackPointInputs
from mmp2seg.datasets.transforms.targets import GeneratePointTargets

__all__ = ['GeneratePointTargets', 'LoadPointAnnotations', 'PackPointInputs']
