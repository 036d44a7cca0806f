"""Transforms: load points and weak maps, let points drift, make targets, pack the data sample."""

from mmp2seg.datasets.transforms.drift import DriftPoints
from mmp2seg.datasets.transforms.geometric import CachedMosaic, RandomAffine
from mmp2seg.datasets.transforms.loading import LoadPointAnnotations
from mmp2seg.datasets.transforms.packing import PackPointInputs
from mmp2seg.datasets.transforms.pseudo_labels import (
    FilterPseudoLabels,
    LoadPseudoLabels,
    PackPseudoLabels,
)
from mmp2seg.datasets.transforms.seg_packing import PackSegPointInputs
from mmp2seg.datasets.transforms.targets import GeneratePointTargets

__all__ = [
    'CachedMosaic',
    'DriftPoints',
    'FilterPseudoLabels',
    'GeneratePointTargets',
    'LoadPointAnnotations',
    'LoadPseudoLabels',
    'PackPointInputs',
    'PackPseudoLabels',
    'PackSegPointInputs',
    'RandomAffine',
]
