"""Pack a sample for mmseg's segmentors."""

from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmp2seg.datasets.transforms.packing import PackPointInputs
from mmp2seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackSegPointInputs(PackPointInputs):
    """Pack the fields of :class:`PackPointInputs` into a data sample of mmseg.

    The weak map becomes ``gt_sem_seg.data``, (1, H, W) int64, on which mmseg's heads train; their
    class 0 is background. :mod:`mmp2seg.structures.fields` lists the other fields.

    Required Keys: see :class:`PackPointInputs`.
    """

    def transform(self, results: dict) -> dict:
        """Return ``dict(inputs=(3, H, W) uint8 tensor, data_samples=SegDataSample)``."""
        packed = super().transform(results)
        source = packed['data_samples']
        sample = SegDataSample(metainfo=source.metainfo)
        for name, field in source.items():
            if name == 'gt_sem_seg':
                field = PixelData(data=field.sem_seg.long())
            setattr(sample, name, field)
        return dict(inputs=packed['inputs'], data_samples=sample)
