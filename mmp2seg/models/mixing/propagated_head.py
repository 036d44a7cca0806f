"""PropagatedHead: a decode head of mmseg whose scores are propagated by an affinity."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmengine.structures import BaseDataElement
from torch import Tensor

from mmp2seg.ops.semantic_scores import add_coarse_change
from mmp2seg.registry import MODELS


@MODELS.register_module()
class PropagatedHead(BaseModule):
    """Decode head of an mmseg segmentor that combines another decode head with an affinity.

    In training, the affinity's loss is added to the losses of the head. At inference, the head's
    probabilities are averaged over the cells of the embedding's grid and propagated. The change is
    added to the probabilities at full size, so that they keep their resolution.

    Args:
        head: config of a decode head whose ``predict`` returns logits of two or more classes.
        affinity_head: config of an :class:`mmp2seg.models.mixing.AffinityAuxHead`.
        propagation: config of the :class:`mmp2seg.models.mixing.AffinityPropagation`.
        init_cfg: initialisation, see mmengine.

    Raises:
        ValueError: the head has a single output channel.
    """

    def __init__(
        self,
        *,
        head: dict,
        affinity_head: dict,
        propagation: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.head = MODELS.build(head)
        self.affinity_head = MODELS.build(affinity_head)
        self.propagation = MODELS.build(propagation or dict(type='mmp2seg.AffinityPropagation'))
        if self.head.out_channels < 2:
            raise ValueError(
                f'expected a head with out_channels >= 2, got {self.head.out_channels}'
            )
        # A segmentor reads these from its decode head.
        self.num_classes = self.head.num_classes
        self.out_channels = self.head.out_channels
        self.align_corners = self.head.align_corners

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the raw output of the head, without propagation."""
        return self.head(inputs)

    def loss(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: Sequence[BaseDataElement],
        train_cfg: dict | None = None,
    ) -> dict[str, Tensor]:
        """Compute the head's losses and ``loss_affinity``; arguments as in mmseg's decode heads."""
        losses = self.head.loss(inputs, batch_data_samples, train_cfg)
        return {**losses, **self.affinity_head.loss(inputs, batch_data_samples, train_cfg)}

    def predict(
        self,
        inputs: Sequence[Tensor],
        batch_img_metas: Sequence[dict],
        test_cfg: dict | None = None,
    ) -> Tensor:
        """Compute the propagated scores of a batch.

        Args:
            inputs: feature maps of the backbone or the neck.
            batch_img_metas: metainfo of the images. The padding that mmseg's data pre-processor
                adds at test time does not propagate.
            test_cfg: config of the segmentor, passed to the head.

        Returns:
            Tensor: ``(B, C, H, W)`` float32 log-probabilities at the size of the head's output;
            ``softmax`` converts them to probabilities.
        """
        logits = self.head.predict(inputs, batch_img_metas, test_cfg)
        embedding = self.affinity_head(inputs)
        size, grid = tuple(logits.shape[-2:]), tuple(embedding.shape[-2:])
        probs = logits.float().softmax(dim=1)
        valid = _not_padding(batch_img_metas, size, like=probs)
        before = F.interpolate(probs * valid, grid, mode='area')
        share = F.interpolate(valid, grid, mode='area')
        before = before / share.clamp(min=1e-6)
        after = self.propagation(embedding, before, share[:, 0] > 0)
        probs = add_coarse_change(probs, before, after, align_corners=self.align_corners)
        return probs.clamp(min=1e-6).log()


def _not_padding(metas: Sequence[dict], size: tuple[int, int], *, like: Tensor) -> Tensor:
    """Return ``(B, 1, H, W)``: 1 on the image, 0 on the padding that ``SegDataPreProcessor`` added.

    With sliding windows, ``size`` is the size of a window. Its padding is unknown and is not
    excluded.
    """
    valid = like.new_ones(len(metas), 1, *size)
    for image, meta in zip(valid, metas):
        if tuple(meta.get('pad_shape') or ())[:2] == size:
            left, right, top, bottom = meta.get('img_padding_size', (0, 0, 0, 0))
            inside = torch.zeros_like(image)
            inside[:, top : size[0] - bottom, left : size[1] - right] = 1
            image *= inside
    return valid
