"""AffinityHead: an embedding per pixel whose inner products are the affinity logits."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmp2seg.registry import MODELS


@MODELS.register_module()
class AffinityHead(BaseModule):
    """Optional decoder, then one k x k convolution with bias, without normalisation or activation.

    For an image with N = h * w pixels and the embedding F, ``(D, N)``, the affinity logits are
    ``F^T F``, ``(N, N)``. They are never stored: :mod:`mmp2seg.ops.affinity` streams them.

    Args:
        in_channels: channels of the feature map that enters the convolution.
        channels: D, channels of the embedding.
        kernel_size: k, odd. None: there is no convolution, and the feature map or the decoder's
            output is the embedding. The released ResNet-101 network uses None and a decoder; the
            HRNet-48 network uses 3 and no decoder.
        in_index: index of the feature map to use when there is no ``decoder``.
        decoder: config of a module that turns the features into one map, such as
            :class:`mmp2seg.models.PanopticDeepLabDecoder`. Each head builds its own decoder.
        init_cfg: initialisation, see mmengine. Defaults to normal(0, 0.001), the initialisation of
            the released networks.

    Raises:
        ValueError: ``kernel_size`` is even, or it is None and ``in_channels`` differs from
            ``channels``.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        channels: int = 256,
        kernel_size: int | None = 3,
        in_index: int = 0,
        decoder: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        if kernel_size is None and in_channels != channels:
            raise ValueError(
                f'expected in_channels = channels without a convolution, got {in_channels} '
                f'and {channels}'
            )
        if kernel_size is not None and kernel_size % 2 == 0:
            raise ValueError(f'expected an odd kernel_size or None, got {kernel_size}')
        super().__init__(init_cfg or dict(type='Normal', layer='Conv2d', std=0.001))
        self.in_index = in_index
        self.decoder = None if decoder is None else MODELS.build(decoder)
        self.conv = (
            nn.Identity()
            if kernel_size is None
            else nn.Conv2d(in_channels, channels, kernel_size, padding=kernel_size // 2)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Compute the embedding of a batch.

        Args:
            features: feature maps of the backbone or the neck, ``(B, C_i, h_i, w_i)`` each.

        Returns:
            Tensor: ``(B, channels, h, w)``.
        """
        feature = features[self.in_index] if self.decoder is None else self.decoder(features)
        return self.conv(feature)
