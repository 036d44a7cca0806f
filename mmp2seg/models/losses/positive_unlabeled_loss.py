"""Loss of a semantic head that is trained with clicks alone: positives, and everything else."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmp2seg.registry import MODELS

IGNORE = 255


def positive_unlabeled_loss(
    logits: Tensor, targets: Tensor, *, positive_share: float = 0.5
) -> Tensor:
    """Cross entropy in which positives and the unlabelled rest have fixed shares.

    The cells with a class are positives. Value 0 means 'not labelled': most of these cells are
    background, some are not. They are trained as background, but their mean counts
    ``1 - positive_share`` however many they are, so that a few wrong ones are outweighed by the
    positives of their kind. A class counts 1 / sqrt(its number of cells) per cell. With dense
    targets it is a balanced cross entropy.

    Args:
        logits: ``(K + 1, M)`` floats, background first.
        targets: ``(M,)`` integers: 0 not labelled or background, ``k + 1`` class ``k``, 255 ignore.
        positive_share: share of the positives in the loss. If one kind is missing, the other has
            its own share alone.

    Returns:
        Tensor: scalar; a zero with a graph if every cell is ignored.

    Raises:
        ValueError: shapes do not fit.
    """
    if logits.dim() != 2 or targets.shape != logits.shape[1:]:
        raise ValueError(
            'expected logits (K + 1, M) and targets (M,), got '
            f'{tuple(logits.shape)} and {tuple(targets.shape)}'
        )
    targets = targets.long()
    positive = (targets > 0) & (targets != IGNORE)
    unlabeled = targets == 0
    loss = logits.sum() * 0.0
    entropy = F.cross_entropy(logits.T, targets, ignore_index=IGNORE, reduction='none')
    if bool(positive.any()):
        classes = targets[positive]
        counts = torch.bincount(classes, minlength=len(logits))
        weights = counts[classes].to(entropy).rsqrt()
        loss = loss + positive_share * (weights * entropy[positive]).sum() / weights.sum()
    if bool(unlabeled.any()):
        loss = loss + (1 - positive_share) * entropy[unlabeled].mean()
    return loss


@MODELS.register_module()
class PositiveUnlabeledLoss(nn.Module):
    """:func:`positive_unlabeled_loss` as a module.

    Args:
        positive_share: share of the positives, in [0, 1].
        loss_weight: factor of the loss.

    Raises:
        ValueError: ``positive_share`` is outside [0, 1].
    """

    def __init__(self, *, positive_share: float = 0.5, loss_weight: float = 1.0) -> None:
        super().__init__()
        if not 0 <= positive_share <= 1:
            raise ValueError(f'expected positive_share in [0, 1], got {positive_share}')
        self.positive_share = positive_share
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``(K + 1, M)`` logits and ``(M,)`` targets -> scalar."""
        return self.loss_weight * positive_unlabeled_loss(
            logits, targets, positive_share=self.positive_share
        )
