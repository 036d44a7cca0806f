"""Pad the pixel fields that mmdet does not pad."""

from typing import Any

import torch.nn.functional as F
from mmdet.models import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData

from mmp2seg.registry import MODELS
from mmp2seg.structures.fields import PIXEL_FIELD_PADDING


@MODELS.register_module()
class PointDataPreprocessor(DetDataPreprocessor):
    """mmdet's pre-processor, which in training also pads the weak map and its region map.

    Every pixel field of :data:`mmp2seg.structures.fields.PIXEL_FIELD_PADDING` is padded at the
    bottom and the right to the size of the batch: the semantic map with 255 (ignore), the region
    map with 0 (none).

    Args:
        args, kwargs: those of :class:`mmdet.models.DetDataPreprocessor`, except for a default.
        non_blocking: copy to a CUDA device without waiting for each of the small tensors. It is
            safe for memory that is not pinned, too: the driver has read it when the call returns.
            Copies to other devices wait.
    """

    def __init__(self, *args: Any, non_blocking: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._copies_on = non_blocking

    def cast_data(self, data: Any) -> Any:
        """Copy data to the device of the model."""
        self._non_blocking = self._copies_on and self.device.type == 'cuda'
        return super().cast_data(data)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Normalise, pad and batch images; pad the pixel fields when training."""
        data = super().forward(data, training)
        if training:
            for sample in data['data_samples']:
                pad_pixel_fields(sample, size=tuple(data['inputs'].shape[-2:]))
        return data


def pad_pixel_fields(sample: DetDataSample, *, size: tuple[int, int]) -> None:
    """Pad the pixel fields of a sample in place.

    Args:
        sample: the sample; fields that it does not have are skipped.
        size: ``(H, W)`` to pad to, at least the fields' size.
    """
    for name, paddings in PIXEL_FIELD_PADDING.items():
        if name not in sample:
            continue
        field = getattr(sample, name)
        height, width = field.shape
        if (height, width) == size:
            continue
        amount = (0, size[1] - width, 0, size[0] - height)
        padded = {key: F.pad(value, amount, value=paddings[key]) for key, value in field.items()}
        setattr(sample, name, PixelData(metainfo=field.metainfo, **padded))
