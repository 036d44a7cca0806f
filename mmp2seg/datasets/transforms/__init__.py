"""Transforms: load points and weak maps, let points drift, make targets, pack the data sample."""

from mmp2seg.datasets.transforms.drift import DriftPoints
from mmp2seg.datasets.transforms.loading import LoadPointAnnotations
from mmp2seg.datasets.transforms.packing import PackPointInputs
from mmp2seg.datasets.transforms.targets import GeneratePointTargets

__all__ = ['DriftPoints', 'GeneratePointTargets', 'LoadPointAnnotations', 'PackPointInputs']
