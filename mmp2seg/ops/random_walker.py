"""Random walker with priors on the 8-neighbour grid of an image.

Grady, 'Multilabel random walker image segmentation using prior models' (CVPR 2005): the
probabilities X of the labels solve ``(L + diag(s)) X = diag(s) Q``. L is the Laplacian of the grid,
Q the prior probabilities (unary) and s the strength with which a pixel keeps its own. A pixel of
large strength is a seed.

Dimensions: ``H, W`` cells of the grid; ``N`` labels; ``4`` directions of :data:`DIRECTIONS`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor

SOLVERS = ('auto', 'direct', 'cg')
# Steps (rows, columns) from a cell to one end of each of its edges. Every edge is counted once.
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def edge_weights(
    colors: Tensor, *, beta: float = 2.0, floor: float = 1e-3, valid: Tensor | None = None
) -> Tensor:
    """Return the weights of the grid's edges, ``(exp(-beta d^2 / mean d^2) + floor) / length``.

    Args:
        colors: ``(C, H, W)`` floats, such as Lab; d is the Euclidean distance of two neighbours,
            and the mean is over all edges of the image.
        beta: how sharply the weight falls with the squared distance.
        floor: smallest weight per unit of length; above 0, so that the grid stays connected.
        valid: ``(H, W)`` bool; all by default. Other cells, such as padding, have no edges, and
            their colours do not matter.

    Returns:
        Tensor: ``(4, H, W)``; entry ``[d, row, col]`` is the weight of the edge from the cell to
        the cell ``DIRECTIONS[d]`` further, 0 if that is outside the grid.

    Raises:
        ValueError: ``colors`` does not have three dimensions, ``valid`` has another size, or
            ``floor`` is not above 0.
    """
    if colors.dim() != 3:
        raise ValueError(f'expected colors (C, H, W), got the shape {tuple(colors.shape)}')
    if floor <= 0:
        raise ValueError(f'expected floor > 0, got {floor}')
    height, width = colors.shape[1:]
    if valid is None:
        valid = torch.ones_like(colors[0], dtype=torch.bool)
    elif valid.shape != (height, width):
        raise ValueError(f'expected valid {(height, width)}, got {tuple(valid.shape)}')
    pieces = [_edge_ends(colors, step) for step in DIRECTIONS]
    both = [torch.logical_and(*_edge_ends(valid, step)) for step in DIRECTIONS]
    squares = [
        (start - end).square().sum(0).where(known, 0)
        for (start, end), known in zip(pieces, both, strict=True)
    ]
    total = torch.stack([square.sum() for square in squares]).sum()
    mean = total / torch.stack([known.sum() for known in both]).sum()
    # a single cell has no edges, and an image of one colour no distances
    scale = (beta / mean).where(mean > 0, 0)
    weights = colors.new_zeros(4, height, width)
    for index, (step, square, known) in enumerate(zip(DIRECTIONS, squares, both, strict=True)):
        rows, columns = _start_slices(step, height, width)
        length = float(np.hypot(*step))
        weight = (torch.exp(-scale * square) + floor) / length
        weights[index, rows, columns] = weight.where(known, 0)
    return weights


def random_walker(
    unary: Tensor,
    weights: Tensor,
    strength: Tensor,
    *,
    solver: str = 'auto',
    tolerance: float = 1e-6,
    max_iterations: int = 2000,
) -> Tensor:
    """Solve the random walker for all labels of an image at once.

    If the unaries of a cell sum to 1, so do its results, and every result lies between the smallest
    and the largest unary of its label.

    Args:
        unary: ``(N, H, W)`` prior of each label.
        weights: ``(4, H, W)`` of :func:`edge_weights`.
        strength: ``(H, W)`` >= 0, above 0 in at least one cell.
        solver: ``'direct'`` factorises the sparse matrix (scipy's SuperLU, float64, on the CPU);
            ``'cg'`` runs conjugate gradients with Jacobi preconditioning for all labels side by
            side on the tensors' device; ``'auto'`` is ``'cg'`` on an accelerator, else
            ``'direct'``.
        tolerance: conjugate gradients stop when a further Jacobi step (residual by diagonal) would
            change no cell by more than this share of the label's largest unary. A norm of the
            residual alone would be that of the seeds.
        max_iterations: upper limit of their iterations.

    Returns:
        Tensor: ``(N, H, W)`` with the dtype and device of ``unary``.

    Raises:
        ValueError: shapes differ, the solver is unknown, or no cell has a strength.
        RuntimeError: conjugate gradients did not converge.
    """
    if solver not in SOLVERS:
        raise ValueError(f'expected a solver of {SOLVERS}, got {solver!r}')
    size = unary.shape[-2:]
    if unary.dim() != 3 or weights.shape != (4, *size) or strength.shape != size:
        raise ValueError(
            'expected unary (N, H, W), weights (4, H, W) and strength (H, W), got '
            f'{tuple(unary.shape)}, {tuple(weights.shape)} and {tuple(strength.shape)}'
        )
    if unary.numel() == 0:
        return unary.clone()
    if not bool((strength > 0).any()):
        raise ValueError('expected a strength above 0 in at least one cell, got none')
    if solver == 'direct' or (solver == 'auto' and unary.device.type == 'cpu'):
        return _solve_direct(unary, weights, strength)
    return _solve_cg(unary, weights, strength, tolerance, max_iterations)


def _start_slices(step: tuple[int, int], height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns of the cells that have an edge in the direction ``step``."""
    down, right = step
    return slice(0, height - down), slice(max(0, -right), width - max(0, right))


def _end_slices(step: tuple[int, int], height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns at the other ends of these edges."""
    down, right = step
    return slice(down, height), slice(max(0, right), width + min(0, right))


def _edge_ends(values: Tensor, step: tuple[int, int]) -> tuple[Tensor, Tensor]:
    height, width = values.shape[-2:]
    start, end = _start_slices(step, height, width), _end_slices(step, height, width)
    return values[..., start[0], start[1]], values[..., end[0], end[1]]


def _add_at_ends(out: Tensor, step: tuple[int, int], start: Tensor, end: Tensor) -> None:
    """Add ``start`` to the first and ``end`` to the second cells of all edges of a direction."""
    first, second = _edge_ends(out, step)  # views of ``out``
    first += start
    second += end


def _degrees(weights: Tensor) -> Tensor:
    """Return the sum of the weights of each cell's edges, ``(H, W)``."""
    degrees = torch.zeros_like(weights[0])
    for index, step in enumerate(DIRECTIONS):
        weight, _ = _edge_ends(weights[index], step)
        _add_at_ends(degrees, step, weight, weight)
    return degrees


def _solve_direct(unary: Tensor, weights: Tensor, strength: Tensor) -> Tensor:
    labels, (height, width) = len(unary), unary.shape[1:]
    cells = np.arange(height * width).reshape(height, width)
    rows: list[npt.NDArray[Any]] = []
    columns: list[npt.NDArray[Any]] = []
    values: list[npt.NDArray[Any]] = []
    for index, step in enumerate(DIRECTIONS):
        start, end = _start_slices(step, height, width), _end_slices(step, height, width)
        rows.append(cells[start].ravel())
        columns.append(cells[end].ravel())
        values.append(weights[index][start].detach().cpu().double().numpy().ravel())
    row, column, value = (np.concatenate(parts) for parts in (rows, columns, values))
    keep = strength.detach().cpu().double().numpy().ravel()
    diagonal = _degrees(weights.detach().cpu().double()).numpy().ravel() + keep
    matrix = sparse.coo_matrix(
        (
            np.concatenate([-value, -value, diagonal]),
            (
                np.concatenate([row, column, cells.ravel()]),
                np.concatenate([column, row, cells.ravel()]),
            ),
        )
    ).tocsc()
    prior = unary.detach().cpu().double().numpy().reshape(labels, -1).T
    # the matrix is symmetric and diagonally dominant: no pivoting is needed
    factors = splu(
        matrix,
        permc_spec='MMD_AT_PLUS_A',
        diag_pivot_thresh=0.0,
        options={'SymmetricMode': True},
    )
    solution = factors.solve(keep[:, None] * prior)
    return torch.from_numpy(solution.T.reshape(unary.shape)).to(unary)


def _solve_cg(
    unary: Tensor, weights: Tensor, strength: Tensor, tolerance: float, max_iterations: int
) -> Tensor:
    diagonal = _degrees(weights) + strength

    def multiply(x: Tensor) -> Tensor:
        out = diagonal * x
        for index, step in enumerate(DIRECTIONS):
            weight, _ = _edge_ends(weights[index], step)
            start, end = _edge_ends(x, step)
            _add_at_ends(out, step, -weight * end, -weight * start)
        return out

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((1, 2), keepdim=True)

    # Squares of small unaries, such as those of an improbable label, would underflow.
    scale = unary.abs().amax((1, 2), keepdim=True).clamp_min(torch.finfo(unary.dtype).tiny)
    x = unary / scale
    right = strength * x
    residual = right - multiply(x)
    scaled = direction = residual / diagonal
    energy = dot(residual, direction)
    for _ in range(max_iterations):
        # a label that has converged stays as it is; the others go on
        active = scaled.abs().amax((1, 2), keepdim=True) > tolerance
        if not bool(active.any()):
            return x * scale
        image = multiply(direction)
        length = torch.where(active, energy / dot(direction, image).clamp_min(1e-38), 0)
        x = x + length * direction
        residual = residual - length * image
        scaled = residual / diagonal
        new_energy = dot(residual, scaled)
        direction = scaled + new_energy / energy.clamp_min(1e-38) * direction
        energy = new_energy
    raise RuntimeError(
        f'the random walker did not converge to a tolerance of {tolerance} in {max_iterations} '
        'iterations: allow more iterations or use solver="direct"'
    )
