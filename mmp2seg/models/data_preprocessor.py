"""Padding of the pixel fields that mmdet does not pad."""

import torch.nn.functional as F
from mmdet.models import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData

from mmp2seg.registry import MODELS
from mmp2seg.structures.fields import PIXEL_FIELD_PADDING


@MODELS.register_module()
class PointDataPreprocessor(DetDataPreprocessor):
    """mmdet's pre-processor, which in training also pads the weak map and the map of its regions.

    Every pixel field of :data:`mmp2seg.structures.fields.PIXEL_FIELD_PADDING` is padded at the
    bottom and the right to the batch's size: the semantic map with 255 (ignore), the map of regions
    with 0 (none). Arguments are those of :class:`mmdet.models.DetDataPreprocessor`.
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise, pad and batch images; pad the pixel fields when training."""
        data = super().forward(data, training)
        if training:
            for sample in data['data_samples']:
                pad_pixel_fields(sample, size=tuple(data['inputs'].shape[-2:]))
        return data


def pad_pixel_fields(sample: DetDataSample, *, size: tuple[int, int]) -> None:
    """Pad the sample's pixel fields in place.

    Args:
        sample: missing fields are skipped.
        size: ``(H, W)`` to pad to, at least the fields' size.
    """
    for name, paddings in PIXEL_FIELD_PADDING.items():
        if name not in sample:
            continue
        field = getattr(sample, name)
        height, width = field.shape
        amount = (0, size[1] - width, 0, size[0] - height)
        padded = {key: F.pad(value, amount, value=paddings[key]) for key, value in field.items()}
        setattr(sample, name, PixelData(metainfo=field.metainfo, **padded))
