"""Compute pair loss with gradient, and propagation, tile by tile in plain torch.

Each tile of logits is computed, used and overwritten, so memory grows with the number N of pixels
and not with N x N. The matrices are symmetric, so only tiles on and above the diagonal are
computed.

Dimensions: ``B`` images, ``N`` pixels, ``D`` channels of the embedding, ``M`` maps, ``C`` channels
of the values. ``A`` is the affinity.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

# Side of a tile in pixels. On a CPU, the float32 buffers of this size stay in the last-level cache.
_BLOCK_SIZE = {'cpu': 768, 'other': 8192}


def pair_loss_and_grad(
    rows: Tensor,
    codes: Tensor,
    weights: Tensor,
    *,
    needs_grad: bool,
    block_size: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Compute the weighted pair loss of each image, and its gradient in the same pass.

    ``sum_m w_same sum_{same} (1 - A) + w_different sum_{different} A + w_mixed sum_{mixed} A``
    over ordered pairs of pixels, ``A = sigmoid(rows rows^T)``. The codes of two pixels determine
    their pair: it is ignored if one code is negative or both are 0, same if they are equal, mixed
    if one is 0, and different otherwise.

    Args:
        rows: ``(B, N, D)`` float32 or float64 embedding.
        codes: ``(B, M, N)`` int32.
        weights: ``(B, M, 3)`` float64, the weights of same, different and mixed pairs.
        needs_grad: whether to compute the gradient.
        block_size: side of a tile in pixels.

    Returns:
        tuple: ``(B,)`` loss, and ``(B, N, D)`` gradient or None; both have the rows' dtype.
    """
    results = [_image_loss(*image, block_size, needs_grad) for image in zip(rows, codes, weights)]
    # Add the 1 of 1 - A for each same pair.
    constant = (weights * pair_counts(codes))[..., 0].sum(dim=1)
    loss = (torch.stack([total for total, _ in results]) + constant).to(rows.dtype)
    grads = [grad for _, grad in results if grad is not None]
    return loss, torch.stack(grads) if needs_grad else None


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
    """Compute ``A^(o beta) values`` without normalisation; ``o beta`` is the elementwise power.

    Args:
        rows: ``(B, N, D)`` float32 or float64 embedding.
        values: ``(B, N, C)`` of the same dtype.
        width: width of the grid whose N pixels, in row order, are the rows; needed with a radius.
        beta, threshold, radius, block_size: see :func:`mmp2seg.ops.affinity.pairwise.propagate`.

    Returns:
        Tensor: ``(B, N, C)``.
    """
    reach = None
    if radius is not None:
        assert width is not None, 'a radius needs the width of the grid'
        reach = (width, radius)
    images = [
        _propagated_image(
            *image, beta=beta, threshold=threshold, reach=reach, block_size=block_size
        )
        for image in zip(rows, values)
    ]
    return torch.stack(images)


def pair_counts(codes: Tensor) -> Tensor:
    """Count the same, different and mixed ordered pairs, without a device sync.

    Args:
        codes: ``(B, M, N)`` int32.

    Returns:
        Tensor: ``(B, M, 3)`` float64.
    """
    # Sort instead of counting in a table, whose size would be the highest code, read on the host.
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
    """Return the sum of weight * affinity (float64) and its gradient for one image.

    ``rows`` (N, D); ``codes`` (M, N); ``weights`` (M, 3). The weight of a same pair is negated.
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
        times = 1 if first == second else 2  # a tile off the diagonal also counts for its mirror
        total += times * torch.dot(affinity.view(-1), pair_weights.view(-1))
        if grad is None:
            continue
        slope = torch.ops.aten.sigmoid_backward(pair_weights, affinity, grad_input=pair_weights)
        grad[first].addmm_(slope, active[second], alpha=2)
        if first != second:
            grad[second].addmm_(slope.T, active[first], alpha=2)
    if grad is not None:
        grad = torch.zeros_like(rows).masked_scatter_(takes_part[:, None], grad)
    return total, grad


def _propagated_image(
    rows: Tensor,
    values: Tensor,
    *,
    beta: float,
    threshold: float,
    reach: tuple[int, float] | None,
    block_size: int | None,
) -> Tensor:
    """Propagate one image: ``rows`` (N, D), ``values`` (N, C), ``reach`` is (width, radius)."""
    sums = torch.zeros_like(values)
    if reach is not None:
        width, radius = reach
        left, right = _squared_distance_factors(len(rows), width, rows)
        if block_size is None:  # small enough that tiles beyond the radius can be skipped
            block_size = min(max(int(radius * width), 128), _BLOCK_SIZE['cpu'])
    for first, second, logits, spare in _tiles(rows, block_size):
        if reach is not None and second.start // width - (first.stop - 1) // width > radius:
            continue  # the grid rows of the two blocks are too far apart
        torch.mm(rows[first], rows[second].T, out=logits)
        affinity = logits.sigmoid_()
        if threshold > 0:
            weak = affinity < threshold
            if first == second:
                weak.fill_diagonal_(False)
            affinity.masked_fill_(weak, 0)
        if beta != 1:
            affinity.pow_(beta)  # the diagonal is at least 0.5^beta, so no row is all zeros
        if reach is not None:
            distance = torch.mm(left[first], right[second].T, out=spare)
            affinity.masked_fill_(distance > radius**2, 0)
        sums[first].addmm_(affinity, values[second])
        if first != second:
            sums[second].addmm_(affinity.T, values[first])
    return sums


def _squared_distance_factors(num: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``(N, 4)`` matrices P, Q: P_i . Q_j is the squared distance of pixels i and j."""
    pixels = torch.arange(num, device=like.device)
    y, x = (pixels // width).to(like), (pixels % width).to(like)
    norm, one = y**2 + x**2, torch.ones_like(y)  # exact in float32 up to 2896 cells a side
    return torch.stack([norm, one, -2 * y, -2 * x], dim=1), torch.stack([one, norm, y, x], dim=1)


def _tiles(rows: Tensor, block_size: int | None) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """Yield the tiles on and above the diagonal: their two ranges of rows, and two buffers."""
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
    """Tabulate each map's pair weights by the codes 0..n and -1, as ``(n + 2, n + 2)``."""
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
    """Write the weights of the pairs of codes ``(M, n)`` and ``(M, m)`` to ``out`` (n, m)."""
    for index, (table, rows, cols) in enumerate(zip(tables, first, second)):
        of_cols = table.index_select(1, cols % len(table))  # -1 -> the last column
        if index == 0:
            torch.index_select(of_cols, 0, rows % len(table), out=out)
        else:
            out += of_cols.index_select(0, rows % len(table))
