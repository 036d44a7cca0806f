"""Scores of classes per pixel -> semantic map."""

import torch
from torch import Tensor


def restricted_argmax(semantic_probs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Most likely value among background and the classes in ``labels``, and its probability.

    Args:
        semantic_probs: ``(K + 1, H, W)`` floats, background first; any scores do.
        labels: ``(N,)`` integers ``0..K-1``, repeats allowed; none leaves background alone.

    Returns:
        tuple: ``(H, W)`` int64 semantic map, 0 background, ``k + 1`` class ``k``, of equal scores
        the lowest value; and ``(H, W)`` float32 probability.
    """
    values = torch.cat([labels.new_zeros(1), labels.unique() + 1])
    probs, index = semantic_probs.index_select(0, values).float().max(dim=0)
    return values.take(index), probs
