"""The layers that the dense heads share."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule, initialize
from torch import Tensor, nn

from mmp2seg.registry import MODELS


class DenseHead(BaseModule):
    """Optional decoder, one k x k convolution with ReLU, one 1 x 1 convolution.

    Args:
        in_channels: channels of the feature map that enters the k x k convolution.
        channels: channels that leave it.
        out_channels: channels of the raw map.
        kernel_size: k.
        depthwise_separable: split the k x k convolution into a depthwise and a 1 x 1 one.
        in_index: which of the features to use when there is no ``decoder``.
        decoder: config of a module that turns the features into one map, as
            :class:`mmp2seg.models.PanopticDeepLabDecoder`; a head has its own.
        norm_cfg: of the k x k convolution; None = a bias and no normalisation.
        init_cfg: of mmengine. Defaults to normal(0, 0.001), the released networks' initialisation.
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
        init_cfg: dict | list | None = None,
    ) -> None:
        if init_cfg is None:
            init_cfg = dict(type='Normal', layer='Conv2d', std=0.001)
        super().__init__(init_cfg=init_cfg)
        self.in_index = in_index
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
        """Initialise by ``init_cfg``; a decoder has an initialisation of its own."""
        super().init_weights()
        # mmcv's ConvModule initialises itself after its parent and would have the last word.
        for module in (self.conv, self.predictor):
            initialize(module, self.init_cfg)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Raw map of a batch.

        Args:
            features: feature maps of the backbone or the neck, ``(B, C_i, h_i, w_i)`` each.

        Returns:
            Tensor: ``(B, out_channels, h, w)``.
        """
        feature = features[self.in_index] if self.decoder is None else self.decoder(features)
        return self.predictor(self.conv(feature))
