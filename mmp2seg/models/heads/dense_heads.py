"""Dense heads: class scores of every pixel, and offsets from every pixel to its object's point."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule, initialize
from torch import Tensor, nn

from mmp2seg.registry import MODELS


class DenseHead(BaseModule):
    """Optional decoder, then a k x k convolution with ReLU and a 1 x 1 convolution.

    Args:
        in_channels: channels of the feature map that enters the k x k convolution.
        channels: channels between the two convolutions.
        out_channels: channels of the raw map.
        kernel_size: k.
        depthwise_separable: split the k x k convolution into a depthwise and a 1 x 1 one.
        in_index: index of the feature map to use when there is no ``decoder``.
        decoder: config of a module that turns the features into one map, such as
            :class:`mmp2seg.models.PanopticDeepLabDecoder`. Each head builds its own decoder.
        norm_cfg: normalisation of the k x k convolution. None: a bias and no normalisation.
        align_corners: option of the bilinear interpolation in :meth:`upsample`.
        init_cfg: initialisation, see mmengine. Defaults to normal(0, 0.001), the initialisation of
            the released networks.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        channels: int,
        out_channels: int,
        kernel_size: int = 3,
        depthwise_separable: bool = False,
        in_index: int = 0,
        decoder: dict | None = None,
        norm_cfg: dict | None = None,
        align_corners: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = dict(type='Normal', layer='Conv2d', std=0.001)
        super().__init__(init_cfg=init_cfg)
        self.in_index = in_index
        self.align_corners = align_corners
        self.decoder = None if decoder is None else MODELS.build(decoder)
        convolution = DepthwiseSeparableConvModule if depthwise_separable else ConvModule
        self.conv = convolution(
            in_channels,
            channels,
            kernel_size,
            padding=kernel_size // 2,
            norm_cfg=norm_cfg,
            act_cfg=dict(type='ReLU'),
        )
        self.predictor = nn.Conv2d(channels, out_channels, 1)

    def init_weights(self) -> None:
        """Initialise the convolutions by ``init_cfg``, and the decoder by its own."""
        super().init_weights()
        # mmcv's ConvModule initialises itself after its parent and would override init_cfg.
        for module in (self.conv, self.predictor):
            initialize(module, self.init_cfg)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Compute the raw map of a batch.

        Args:
            features: feature maps of the backbone or the neck, ``(B, C_i, h_i, w_i)`` each.

        Returns:
            Tensor: ``(B, out_channels, h, w)``.
        """
        feature = features[self.in_index] if self.decoder is None else self.decoder(features)
        return self.predictor(self.conv(feature))

    def upsample(self, raw_map: Tensor, size: tuple[int, int]) -> Tensor:
        """Resize ``(B, C, h, w)`` to ``(B, C, *size)`` float32, bilinearly, without rescaling."""
        return F.interpolate(
            raw_map.float(), size=size, mode='bilinear', align_corners=self.align_corners
        )


@MODELS.register_module()
class SemanticHead(DenseHead):
    """Logits of background and the K classes at every pixel.

    Args:
        num_classes: K, without background.
        **kwargs: forwarded to :class:`DenseHead`.
    """

    def __init__(self, *, num_classes: int, **kwargs) -> None:
        super().__init__(out_channels=num_classes + 1, **kwargs)
        self.num_classes = num_classes

    def predict_by_feat(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        """Convert logits ``(B, K + 1, h, w)`` to probabilities ``(B, K + 1, *size)`` float32."""
        return self.upsample(logits, size).softmax(dim=1)


@MODELS.register_module()
class OffsetHead(DenseHead):
    """Offset from every pixel to its object's point.

    Offsets are ``(dx, dy)`` in pixels of the network's input, whatever the resolution of the map.

    Args:
        **kwargs: forwarded to :class:`DenseHead`.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(out_channels=2, **kwargs)

    def predict_by_feat(self, offset: Tensor, size: tuple[int, int]) -> Tensor:
        """Resize ``(B, 2, h, w)`` to ``(B, 2, *size)`` float32; the values are not rescaled."""
        return self.upsample(offset, size)
