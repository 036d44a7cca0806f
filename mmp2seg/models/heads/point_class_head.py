"""PointClassHead: class scores from the frozen features of several levels."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmp2seg.registry import MODELS


@MODELS.register_module()
class PointClassHead(BaseModule):
    """A normalisation and a 1x1 convolution for each level; their logits are summed.

    The logits stay on the levels' own grids, so that they can be read at any positions and summed
    there (:func:`mmp2seg.ops.point_similarity.sample_sum`): both are linear.

    Args:
        in_channels: channels of each level.
        num_classes: K.
        dropout: share of the channels that training drops.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        num_classes: int,
        dropout: float = 0.2,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or dict(type='Normal', layer='Conv2d', std=0.01))
        self.num_classes = num_classes
        self.dropout = dropout
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for channels in in_channels)
        self.convs = nn.ModuleList(
            nn.Conv2d(channels, num_classes + 1, 1) for channels in in_channels
        )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Return logits of each level.

        Args:
            levels: ``(C_l, h_l, w_l)`` of one image.

        Returns:
            list: ``(K + 1, h_l, w_l)``, background first.
        """
        logits = []
        for level, norm, conv in zip(levels, self.norms, self.convs, strict=True):
            feature = F.dropout2d(norm(level[None]), self.dropout, self.training)
            logits.append(conv(feature)[0])
        return logits
