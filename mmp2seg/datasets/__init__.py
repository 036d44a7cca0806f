"""Datasets of images with points and weak semantic maps."""

from mmp2seg.datasets.point_coco import PointCocoDataset
from mmp2seg.datasets.point_voc import PointVOCDataset
from mmp2seg.datasets.pseudo_label_coco import PseudoLabelCocoDataset
from mmp2seg.datasets.transforms import GeneratePointTargets, LoadPointAnnotations, PackPointInputs

__all__ = [
    'GeneratePointTargets',
    'LoadPointAnnotations',
    'PackPointInputs',
    'PointCocoDataset',
    'PointVOCDataset',
    'PseudoLabelCocoDataset',
]
