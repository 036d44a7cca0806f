"""LevelSumNeck: the levels of a pretrained backbone, summed at the finest resolution."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from mmp2seg.registry import MODELS


@MODELS.register_module()
class LevelSumNeck(BaseModule):
    """Normalise each level, project it with a 1 x 1 convolution, upsample and sum, then a 3 x 3.

    Group norm with one group gives the levels of a pretrained backbone one scale, so that a few
    hundred steps are enough to train it, where an FPN from scratch is not.

    Args:
        in_channels: channels of each level, finest first.
        channels: channels of the output.
        norm_cfg: normalisation after the 3 x 3 convolution.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        channels: int,
        norm_cfg: dict,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d', mode='fan_in'))
        self.projections = ModuleList(
            nn.Sequential(nn.GroupNorm(1, level), nn.Conv2d(level, channels, 1))
            for level in in_channels
        )
        self.fuse = ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor]:
        """Levels ``(B, C_l, h_l, w_l)`` -> one map ``(B, channels, h_0, w_0)``, in a tuple.

        Raises:
            ValueError: the number of levels is not that of ``in_channels``.
        """
        if len(features) != len(self.projections):
            raise ValueError(f'expected {len(self.projections)} levels, got {len(features)}')
        size = features[0].shape[2:]
        total = 0
        for feature, project in zip(features, self.projections, strict=True):
            total = total + F.interpolate(project(feature), size, mode='bilinear')
        return (self.fuse(total),)
