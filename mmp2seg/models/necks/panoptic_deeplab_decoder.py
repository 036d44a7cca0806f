"""Decoder of Panoptic-DeepLab; each head of P2Seg's ResNet-101 network has one."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule, ModuleList, initialize
from torch import Tensor, nn

from mmp2seg.registry import MODELS


class ASPP(BaseModule):
    """Atrous spatial pyramid pooling: 1 x 1, dilated 3 x 3 and pooling branches, then a projection.

    As in the released network, the pooling branch has no normalisation, because batch norm cannot
    train on its map of a single pixel.

    Args:
        in_channels: channels of the input.
        channels: channels of each branch and of the output.
        dilations: dilations of the 3 x 3 branches.
        dropout: dropout rate after the projection.
        norm_cfg: normalisation of the projection and of all branches except pooling.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        channels: int,
        dilations: Sequence[int],
        dropout: float,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        self.branches = ModuleList([ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg)])
        for dilation in dilations:
            self.branches.append(
                ConvModule(
                    in_channels, channels, 3, padding=dilation, dilation=dilation, norm_cfg=norm_cfg
                )
            )
        self.pooling = ConvModule(in_channels, channels, 1, bias=False)
        self.project = ConvModule(channels * (len(dilations) + 2), channels, 1, norm_cfg=norm_cfg)
        self.dropout = nn.Dropout(dropout)

    def forward(self, feature: Tensor) -> Tensor:
        """``(B, in_channels, h, w)`` -> ``(B, channels, h, w)``."""
        pooled = self.pooling(feature.mean(dim=(2, 3), keepdim=True)).expand(
            -1, -1, *feature.shape[2:]
        )
        branches = [branch(feature) for branch in self.branches]
        return self.dropout(self.project(torch.cat([*branches, pooled], dim=1)))


@MODELS.register_module()
class PanopticDeepLabDecoder(BaseModule):
    """Apply ASPP to the coarsest feature map, then upsample it step by step to the finest.

    Each step upsamples the map (bilinear, ``align_corners=True``), concatenates the projected
    low-level feature map and fuses both by a depthwise-separable convolution.

    Args:
        in_channels: channels of the feature maps, fine to coarse (strides 4, 8, 16, 32).
        low_level_channels: channels of the projections, coarse to fine; one fewer than
            ``in_channels``.
        channels: channels after each fusion (256 semantic, 128 instance in the released network).
        aspp_channels: channels of the ASPP.
        aspp_dilations: dilations of the ASPP.
        dropout: dropout rate of the ASPP.
        norm_cfg: normalisation of all convolutions. Defaults to batch norm with the momentum 0.01
            of the released network.
        init_cfg: initialisation, see mmengine. Defaults to normal(0, 0.001), the initialisation of
            the released network.

    Raises:
        ValueError: there are not as many ``low_level_channels`` as ``in_channels`` minus one.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int] = (256, 512, 1024, 2048),
        low_level_channels: Sequence[int] = (128, 64, 32),
        channels: int = 256,
        aspp_channels: int = 256,
        aspp_dilations: Sequence[int] = (3, 6, 9),
        dropout: float = 0.5,
        norm_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if len(low_level_channels) != len(in_channels) - 1:
            raise ValueError(
                f'expected {len(in_channels) - 1} low_level_channels for {len(in_channels)} '
                f'features, got {len(low_level_channels)}'
            )
        super().__init__(init_cfg or dict(type='Normal', layer='Conv2d', std=0.001))
        norm_cfg = norm_cfg or dict(type='BN', momentum=0.01)
        self.aspp = ASPP(
            in_channels=in_channels[-1],
            channels=aspp_channels,
            dilations=aspp_dilations,
            dropout=dropout,
            norm_cfg=norm_cfg,
        )
        self.projections, self.fusions = ModuleList(), ModuleList()
        width = aspp_channels
        for feature_channels, low_level in zip(in_channels[-2::-1], low_level_channels):
            self.projections.append(ConvModule(feature_channels, low_level, 1, norm_cfg=norm_cfg))
            self.fusions.append(
                DepthwiseSeparableConvModule(
                    width + low_level, channels, 5, padding=2, norm_cfg=norm_cfg
                )
            )
            width = channels

    def init_weights(self) -> None:
        """Initialise all layers by ``init_cfg``."""
        super().init_weights()
        # mmcv's ConvModule initialises itself after its parent and would override init_cfg.
        initialize(self, self.init_cfg)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Decode one batch.

        Args:
            features: ``(B, C_i, h_i, w_i)``, fine to coarse.

        Returns:
            Tensor: ``(B, channels, h_0, w_0)``, at the resolution of the finest feature map.
        """
        decoded = self.aspp(features[-1])
        for feature, project, fuse in zip(features[-2::-1], self.projections, self.fusions):
            decoded = F.interpolate(
                decoded, size=feature.shape[2:], mode='bilinear', align_corners=True
            )
            decoded = fuse(torch.cat([decoded, project(feature)], dim=1))
        return decoded
