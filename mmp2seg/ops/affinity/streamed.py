"""Affinities of all pixels in torch, tile by tile: loss with gradient, and propagation.

Tiles of logits are made, used and overwritten, so that memory grows with the number N of pixels and
not with N x N. All is symmetric, so that only tiles on and above the diagonal are computed.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

# Pixels along a side of a tile: its float32 buffers stay in a CPU's last-level cache.
_BLOCK_SIZE = {'cpu': 768, 'other': 8192}


def pair_loss_and_grad(
    rows: Tensor,
    codes: Tensor,
    weights: Tensor,
    *,
    needs_grad: bool,
    block_size: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Weighted pair loss of each image, and its gradient in the same pass.

    ``sum_m w_same sum_{same} (1 - A) + w_different sum_{different} A + w_background sum_{mixed} A``
    over ordered pairs of pixels, ``A = sigmoid(rows rows^T)``. By the two codes a pair is left out
    (one negative, or both 0), same (equal), mixed (one is 0), or different.

    Args:
        rows: ``(B, N, D)`` float32 or float64 embedding.
        codes: ``(B, M, N)`` int32.
        weights: ``(B, M, 3)`` float64, of same, different and mixed pairs.
        needs_grad: whether to make the gradient.
        block_size: pixels along a side of a tile.

    Returns:
        tuple: ``(B,)`` loss and ``(B, N, D)`` gradient or None, of the rows' dtype.
    """
    results = [_image_loss(*image, block_size, needs_grad) for image in zip(rows, codes, weights)]
    # The 1 of 1 - A.
    constant = (weights * pair_counts(codes))[..., 0].sum(dim=1)
    loss = (torch.stack([result[0] for result in results]) + constant).to(rows.dtype)
    return loss, torch.stack([result[1] for result in results]) if needs_grad else None


def propagate(
    rows: Tensor,
    values: Tensor,
    *,
    beta: float,
    threshold: float,
    width: int | None = None,
    radius: float | None = None,
    block_size: int | None = None,
) -> Tensor:
    """``A^(o beta) values``, not normalised.

    Args:
        rows: ``(B, N, D)`` float32 or float64 embedding.
        values: ``(B, N, C)`` of the same dtype.
        width: of the grid whose pixels, row by row, are the N rows; needed with a radius.
        beta, threshold, radius, block_size: as of :func:`mmp2seg.ops.affinity.pairwise.propagate`.

    Returns:
        Tensor: ``(B, N, C)``.
    """
    options = dict(beta=beta, threshold=threshold, width=width, radius=radius)
    images = [
        _propagated_image(*image, **options, block_size=block_size) for image in zip(rows, values)
    ]
    return torch.stack(images)


def pair_counts(codes: Tensor) -> Tensor:
    """Number of ordered pairs that are same, different and mixed; no device sync.

    Args:
        codes: ``(B, M, N)`` int32.

    Returns:
        Tensor: ``(B, M, 3)`` float64.
    """
    # By sorting: a table by code would need the highest code's value on the host.
    ordered = codes.sort(dim=-1).values
    equals = torch.searchsorted(ordered, ordered, right=True) - torch.searchsorted(ordered, ordered)
    same = (equals * (ordered > 0)).sum(dim=-1).double()
    objects, background = (codes > 0).sum(dim=-1).double(), (codes == 0).sum(dim=-1).double()
    return torch.stack([same, objects.square() - same, 2 * objects * background], dim=-1)


def _image_loss(
    rows: Tensor,
    codes: Tensor,
    weights: Tensor,
    block_size: int | None,
    needs_grad: bool,
) -> tuple[Tensor, Tensor | None]:
    """Sum of weight * affinity, float64, and its gradient for one image.

    ``rows`` (N, D); ``codes`` (M, N); ``weights`` (M, 3). The affinity of a same pair counts
    negative.
    """
    takes_part = (codes >= 0).any(dim=0)
    active, codes = rows[takes_part], codes[:, takes_part]
    tables = _weight_tables(codes, weights, rows.dtype)
    grad = torch.zeros_like(active) if needs_grad else None
    total = torch.zeros((), dtype=torch.float64, device=rows.device)
    for first, second, logits, pair_weights in _tiles(active, block_size):
        torch.mm(active[first], active[second].T, out=logits)
        _pair_weights(tables, codes[:, first], codes[:, second], out=pair_weights)
        affinity = logits.sigmoid_()
        times = 1 if first == second else 2  # a tile off the diagonal stands for its mirror image
        total += times * torch.dot(affinity.view(-1), pair_weights.view(-1))
        if not needs_grad:
            continue
        slope = torch.ops.aten.sigmoid_backward(pair_weights, affinity, grad_input=pair_weights)
        grad[first].addmm_(slope, active[second], alpha=2)
        if first != second:
            grad[second].addmm_(slope.T, active[first], alpha=2)
    if needs_grad:
        grad = torch.zeros_like(rows).masked_scatter_(takes_part[:, None], grad)
    return total, grad


def _propagated_image(
    rows: Tensor,
    values: Tensor,
    *,
    beta: float,
    threshold: float,
    width: int | None,
    radius: float | None,
    block_size: int | None,
) -> Tensor:
    """``A^(o beta) * values`` without the normalisation: ``rows`` (N, D), ``values`` (N, C)."""
    sums = torch.zeros_like(values)
    if radius is not None:
        left, right = _squared_distance_factors(len(rows), width, rows)
        if block_size is None:  # a block beyond the reach of another is left out
            block_size = min(max(int(radius * width), 128), _BLOCK_SIZE['cpu'])
    for first, second, logits, spare in _tiles(rows, block_size):
        if radius is not None and second.start // width - (first.stop - 1) // width > radius:
            continue  # every grid row of the one is beyond the reach of the other's
        torch.mm(rows[first], rows[second].T, out=logits)
        affinity = logits.sigmoid_()
        if threshold > 0:
            weak = affinity < threshold
            if first == second:
                weak.fill_diagonal_(False)
            affinity.masked_fill_(weak, 0)
        if beta != 1:
            affinity.pow_(beta)  # the diagonal's are at least 0.5^beta: no row of zeros
        if radius is not None:
            distance = torch.mm(left[first], right[second].T, out=spare)
            affinity.masked_fill_(distance > radius**2, 0)
        sums[first].addmm_(affinity, values[second])
        if first != second:
            sums[second].addmm_(affinity.T, values[first])
    return sums


def _squared_distance_factors(num: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Two ``(N, 4)`` matrices whose product of rows i and j is the pixels' squared distance."""
    pixels = torch.arange(num, device=like.device)
    y, x = (pixels // width).to(like), (pixels % width).to(like)
    norm, one = y**2 + x**2, torch.ones_like(y)  # exact in float32 up to 2896 cells a side
    return torch.stack([norm, one, -2 * y, -2 * x], dim=1), torch.stack([one, norm, y, x], dim=1)


def _tiles(rows: Tensor, block_size: int | None) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Tiles on and above the diagonal: their two ranges of rows, and two buffers of their shape."""
    if block_size is None:
        block_size = _BLOCK_SIZE['cpu' if rows.device.type == 'cpu' else 'other']
    num_rows = len(rows)
    block_size = min(block_size, num_rows)
    buffers = rows.new_empty(2, block_size * block_size)
    for start in range(0, num_rows, max(block_size, 1)):
        first = slice(start, min(start + block_size, num_rows))
        for other in range(start, num_rows, block_size):
            second = slice(other, min(other + block_size, num_rows))
            shape = (first.stop - first.start, second.stop - second.start)
            logits, spare = buffers[:, : shape[0] * shape[1]]
            yield first, second, logits.view(shape), spare.view(shape)


def _weight_tables(codes: Tensor, weights: Tensor, dtype: torch.dtype) -> list[Tensor]:
    """For each map the weight of a pair by the two codes, ``(C + 2, C + 2)``; the last is -1's."""
    tables = []
    for map_codes, (same, different, mixed) in zip(codes, weights.to(dtype)):
        size = max(int(map_codes.max()), 0) + 2 if map_codes.numel() else 2
        table = different.repeat(size, size)
        table.diagonal().copy_(-same)
        table[0] = table[:, 0] = mixed
        table[0, 0] = 0
        table[-1] = table[:, -1] = 0
        tables.append(table)
    return tables


def _pair_weights(tables: list[Tensor], first: Tensor, second: Tensor, *, out: Tensor) -> None:
    """Fill ``out`` (n, m) with the weights of the pairs of codes ``(M, n)`` and ``(M, m)``."""
    for index, (table, rows, cols) in enumerate(zip(tables, first, second)):
        of_cols = table.index_select(1, cols % len(table))  # -1 -> the last
        if index == 0:
            torch.index_select(of_cols, 0, rows % len(table), out=out)
        else:
            out += of_cols.index_select(0, rows % len(table))
