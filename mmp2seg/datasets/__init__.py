"""Datasets of images with points and weak semantic maps.

The names of this module are imported when they are used: reading a points file loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmp2seg.datasets.point_coco import PointCocoDataset
    from mmp2seg.datasets.point_voc import PointVOCDataset
    from mmp2seg.datasets.pseudo_label_coco import PseudoLabelCocoDataset
    from mmp2seg.datasets.transforms import (
        GeneratePointTargets,
        LoadPointAnnotations,
        PackPointInputs,
    )

__all__ = [
    'GeneratePointTargets',
    'LoadPointAnnotations',
    'PackPointInputs',
    'PointCocoDataset',
    'PointVOCDataset',
    'PseudoLabelCocoDataset',
]

_MODULES = {
    'GeneratePointTargets': 'mmp2seg.datasets.transforms',
    'LoadPointAnnotations': 'mmp2seg.datasets.transforms',
    'PackPointInputs': 'mmp2seg.datasets.transforms',
    'PointCocoDataset': 'mmp2seg.datasets.point_coco',
    'PointVOCDataset': 'mmp2seg.datasets.point_voc',
    'PseudoLabelCocoDataset': 'mmp2seg.datasets.pseudo_label_coco',
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(importlib.import_module(_MODULES[name]), name)
