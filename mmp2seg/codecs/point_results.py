"""Data classes that the codecs take and return.

Dimensions: ``H, W`` pixels of a frame; ``N`` points; ``M <= N`` instances.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmp2seg.codecs.given_masks import GivenMasks
from mmp2seg.ops.components import Regions, pad_regions
from mmp2seg.ops.semantic_scores import image_values

# Reasons for a point without an instance, with an explanation for the user.
DROP_REASONS = {
    'duplicate': 'an earlier point has the same place and class',
    'outside_image': 'the point is not inside the image',
    'no_region': 'the semantic map has no pixels of its class around it',
    'no_pixels': 'all pixels of its region went to other points',
}


@dataclass(frozen=True)
class ImagePoints:
    """The points of a training image and the regions of its weak map, in the input frame.

    Attributes:
        points_xy: ``(N, 2)`` float32 ``(x, y)``, all inside the image.
        labels: ``(N,)`` int64, classes ``0..K-1``.
        regions: the regions of the weak map.
        given: masks and boxes of some of the points; None: there are none.
    """

    points_xy: Tensor
    labels: Tensor
    regions: Regions
    given: GivenMasks | None = None

    @functools.cached_property
    def values(self) -> Tensor:
        """``(V,)`` int64, the semantic values that the image can have.

        See :func:`mmp2seg.ops.semantic_scores.image_values`: the host waits for the device to count
        the classes.
        """
        return image_values(self.labels)

    @property
    def channels(self) -> Tensor:
        """``(N,)`` int64, the place of each point's class in ``values``."""
        return torch.searchsorted(self.values, self.labels + 1)


# Where the points lie that pad a batch: outside of every frame.
_OUTSIDE = -1e6


@dataclass(frozen=True)
class PointBatch:
    """:class:`ImagePoints` of ``B`` images, for a GPU: an operation computes all of them at once.

    Make it before the network's forward pass: the host waits for the device to count the classes.

    Attributes:
        points_xy: ``(B, N, 2)`` float32; padding is far outside of the frame.
        labels: ``(B, N)`` int64; -1 for padding.
        regions: ``(B, H, W)``, ``(B, R)`` and ``(B, R)``; labels of -1 and areas of 0 for padding.
        values: ``(B, V)`` int64; -1 for padding.
        channels: ``(B, N)`` int64; 0 for padding.
        given: None.
    """

    points_xy: Tensor
    labels: Tensor
    regions: Regions
    values: Tensor
    channels: Tensor
    given: None = None

    @classmethod
    def of(cls, images: Sequence[ImagePoints]) -> 'PointBatch':
        """Join images of one size.

        Raises:
            ValueError: an image has given masks or boxes.
        """
        if any(image.given is not None for image in images):
            raise ValueError('expected images without given masks and boxes')
        labels = _padded([image.labels for image in images], -1)
        # on the host, as the device would have to be asked for the classes of each image
        on_host = [
            ImagePoints(image.points_xy, of_image[: len(image.labels)], image.regions)
            for image, of_image in zip(images, labels.cpu(), strict=True)
        ]
        return cls(
            points_xy=pad_points([image.points_xy for image in images]),
            labels=labels,
            regions=pad_regions([image.regions for image in images]),
            values=_padded([image.values for image in on_host], -1).to(labels.device),
            channels=_padded([image.channels for image in on_host], 0).to(labels.device),
        )


def pad_points(points_xy: Sequence[Tensor]) -> Tensor:
    """Join the points of images, ``(N, 2)`` each, to ``(B, N, 2)``, as in a :class:`PointBatch`."""
    return _padded(points_xy, _OUTSIDE)


def _padded(values: Sequence[Tensor], padding: float) -> Tensor:
    return pad_sequence(list(values), batch_first=True, padding_value=padding)


@dataclass(frozen=True)
class PointTargets:
    """Targets of the offset head for one image, or for a batch, with a leading dimension B.

    Attributes:
        instance_map: ``(H, W)`` int32, 0 = none, ``n + 1`` = pixels of point ``n``.
        offset: ``(2, H, W)`` float32 ``(dx, dy)`` in pixels of this frame, 0 outside instances.
        weight: ``(H, W)`` float32, 1 on instances, 0 elsewhere.
    """

    instance_map: Tensor
    offset: Tensor
    weight: Tensor


@dataclass(frozen=True)
class PointInstances:
    """Instances of an image; every point is either in ``kept`` or in ``dropped``.

    Attributes:
        masks: ``(M, H, W)`` bool, each with at least one pixel; disjoint, except with the grouping
            ``'region'``.
        scores: ``(M,)`` float32, mean score of the instance's class over its mask.
        kept: ``(M,)`` int64, index of each instance's point.
        dropped: ``(N - M,)`` int64, indices of the points without an instance.
        reasons: a key of :data:`DROP_REASONS` for each dropped point.
        semantic_map: ``(H, W)`` int64, the map that the instances were cut from.
        confidence: ``(H, W)`` float32, the score of the map's value.
    """

    masks: Tensor
    scores: Tensor
    kept: Tensor
    dropped: Tensor
    reasons: list[str]
    semantic_map: Tensor
    confidence: Tensor
