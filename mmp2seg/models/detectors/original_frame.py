"""Bring maps from the frame of the network's input to that of the original image.

This undoes padding (at the bottom and the right), resizing and flips. The functions read a sample's
metainfo ``img_shape``, ``ori_shape`` and, if the image was flipped, ``flip`` and
``flip_direction``.
"""

import torch.nn.functional as F
from mmdet.structures import DetDataSample
from torch import Tensor

_FLIPPED_AXES = dict(horizontal=(-1,), vertical=(-2,), diagonal=(-2, -1))  # -1 is x, -2 is y


def to_original_frame(values: Tensor, sample: DetDataSample) -> Tensor:
    """Resample ``(C, H, W)`` floats of the padded input to ``(C, H', W')`` of the original image.

    The values are not rescaled; for offsets, multiply by :func:`offset_factors`.
    """
    height, width = sample.img_shape[:2]
    values = values[:, :height, :width]
    if axes := _flipped_axes(sample):
        values = values.flip(axes)
    size = tuple(sample.ori_shape[:2])
    if size == (height, width):
        return values
    return F.interpolate(values[None], size=size, mode='bilinear', align_corners=False)[0]


def offset_factors(sample: DetDataSample, like: Tensor) -> Tensor:
    """Return ``(2, 1, 1)`` factors that bring ``(dx, dy)`` to the original frame.

    A factor is the scale of its direction, negative if the image is flipped along it. The result
    has the dtype of ``like``.
    """
    factors = like.new_tensor(_scale_to_original(sample))
    for axis in _flipped_axes(sample):
        factors[-1 - axis] *= -1  # axis -1 is x, the first component
    return factors[:, None, None]


def _flipped_axes(sample: DetDataSample) -> tuple[int, ...]:
    """Return the axes of a map along which the input is flipped."""
    return _FLIPPED_AXES[sample.flip_direction] if sample.get('flip') else ()


def _scale_to_original(sample: DetDataSample) -> tuple[float, float]:
    """Return the ``(x, y)`` scale factors from the input frame to the original frame."""
    (height, width), (ori_height, ori_width) = sample.img_shape[:2], sample.ori_shape[:2]
    return ori_width / width, ori_height / height
