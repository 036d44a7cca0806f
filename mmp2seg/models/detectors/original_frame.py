"""Maps of the network's input frame in the frame of the original image: undo resizing and flips.

The metainfo ``img_shape``, ``ori_shape`` and, if the image was flipped, ``flip`` and
``flip_direction`` of a sample are read. Padding is at the bottom and the right.
"""

import torch.nn.functional as F
from mmdet.structures import DetDataSample
from torch import Tensor

_FLIPPED_AXES = dict(horizontal=(-1,), vertical=(-2,), diagonal=(-2, -1))  # -1 is x, -2 is y


def to_original_frame(values: Tensor, sample: DetDataSample) -> Tensor:
    """``(C, H, W)`` floats of the padded input -> ``(C, H', W')`` of the original image.

    The values themselves are not changed; see :func:`offset_factors`.
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
    """``(2, 1, 1)`` factors of ``(dx, dy)`` to the original frame, of the dtype of ``like``.

    That is the scale; negative along a direction in which the image is flipped.
    """
    factors = like.new_tensor(_scale_to_original(sample))
    for axis in _flipped_axes(sample):
        factors[-1 - axis] *= -1  # axis -1 is x, the first component
    return factors[:, None, None]


def _flipped_axes(sample: DetDataSample) -> tuple[int, ...]:
    """Axes of a map along which the input is flipped."""
    return _FLIPPED_AXES[sample.flip_direction] if sample.get('flip') else ()


def _scale_to_original(sample: DetDataSample) -> tuple[float, float]:
    """``(x, y)`` factors from the input frame to the original image's."""
    (height, width), (ori_height, ori_width) = sample.img_shape[:2], sample.ori_shape[:2]
    return ori_width / width, ori_height / height
