"""Transforms: load points and weak maps, move points, find regions, pack the data sample."""

from mmp2seg.datasets.transforms.drift import DriftPoints
from mmp2seg.datasets.transforms.geometric import CachedMosaic, RandomAffine
from mmp2seg.datasets.transforms.image_loading import LoadImageFromFile
from mmp2seg.datasets.transforms.loading import LoadPointAnnotations
from mmp2seg.datasets.transforms.packing import PackPointInputs
from mmp2seg.datasets.transforms.pseudo_labels import (
    FilterPseudoLabels,
    LoadPseudoLabels,
    PackPseudoLabels,
)
from mmp2seg.datasets.transforms.regions import FindRegions, GeneratePointTargets
from mmp2seg.datasets.transforms.seeding import SeedSample
from mmp2seg.datasets.transforms.seg_packing import PackSegPointInputs

__all__ = [
    'CachedMosaic',
    'DriftPoints',
    'FilterPseudoLabels',
    'FindRegions',
    'GeneratePointTargets',
    'LoadImageFromFile',
    'LoadPointAnnotations',
    'LoadPseudoLabels',
    'PackPointInputs',
    'PackPseudoLabels',
    'PackSegPointInputs',
    'RandomAffine',
    'SeedSample',
]
