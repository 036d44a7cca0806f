"""Packing of a sample for mmseg's segmentors."""

from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmp2seg.datasets.transforms.packing import PackPointInputs
from mmp2seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackSegPointInputs(PackPointInputs):
    """As :class:`PackPointInputs`, but the data sample is mmseg's.

    The weak map is ``gt_sem_seg.data``, (1, H, W) int64, which mmseg's heads train on (background
    is their class 0). ``gt_instances`` and ``gt_point_targets`` are those of
    :mod:`mmp2seg.structures.fields`.

    Required Keys:

    - as of :class:`PackPointInputs`
    """

    def transform(self, results: dict) -> dict:
        """Return ``dict(inputs=(3, H, W) uint8 tensor, data_samples=SegDataSample)``."""
        packed = super().transform(results)
        source = packed['data_samples']
        sample = SegDataSample(metainfo=source.metainfo)
        sample.gt_instances = source.gt_instances
        if 'gt_sem_seg' in source:
            sample.gt_sem_seg = PixelData(data=source.gt_sem_seg.sem_seg.long())
        if 'gt_point_targets' in source:
            sample.gt_point_targets = source.gt_point_targets
        return dict(inputs=packed['inputs'], data_samples=sample)
