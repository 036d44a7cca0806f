"""Keep the connected parts of instances on a GPU, without that the host waits.

:func:`mmp2seg.ops.components.keep_connected` explains which parts. Triton kernels label the parts
(:mod:`.components_kernels`), plain torch chooses among them. The module can be imported without
triton and CUDA. :func:`supports` tells whether the kernels run.

A part is known by its root, its first pixel in row order. All sums and extremes are of integers, so
the result is the same each time.
"""

from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.ops.affinity.triton_trial import on_device, triton_runs

# A pixel per thread: with more, triton exchanges them between threads in each round of a loop; with
# fewer, some versions do not give all threads what an atomic operation returns. A single warp finds
# out fastest whether its loop ends.
_LOOPING = dict(BLOCK=32, num_warps=1)
_STREAMING = dict(BLOCK=128, num_warps=4)
# Of the keys of the largest parts, see largest_parts_kernel.
_LAST = (1 << 31) - 1


def supports(instance_maps: Tensor) -> bool:
    """Return whether the kernels run on the device of these maps."""
    return triton_runs(_trial, instance_maps.device, what='connected parts')


def keep_connected(instance_maps: Tensor, points_xy: Tensor) -> Tensor:
    """Keep of each instance one connected part, without a device sync.

    Args:
        instance_maps: ``(B, H, W)`` int32, 0 = none, ``n + 1`` = point ``n`` of the image; below
            ``2**31 - 128`` pixels.
        points_xy: ``(B, N, 2)`` floats on the same device. Rows outside of the frame are padding.

    Returns:
        Tensor: ``(B, H, W)`` int32, see :func:`mmp2seg.ops.components.keep_connected`.
    """
    assert instance_maps.dtype == torch.int32
    assert instance_maps.numel() < 2**31 - 128  # the last program may go on by a block
    if instance_maps.numel() == 0:
        return instance_maps.clone()
    instance_maps = instance_maps.contiguous()
    roots, areas = _label(instance_maps)
    keys = _largest(instance_maps, roots, areas, points_xy.shape[1] + 1)
    return _choose(instance_maps, points_xy, roots, areas, keys)


def find_parts(value_maps: Tensor) -> tuple[Tensor, Tensor]:
    """Find the 8-connected parts of pixels of one value, without a device sync.

    Args:
        value_maps: ``(B, H, W)`` int32, 0 = none; below ``2**31 - 128`` pixels.

    Returns:
        tuple: ``(B, H, W)`` int32, the place in its map of the first pixel, in row order, of each
        pixel's part, -1 for none; ``(B, H, W)`` int32, the area of each part at its first pixel, 0
        elsewhere.
    """
    assert value_maps.dtype == torch.int32
    assert value_maps.numel() < 2**31 - 128
    if value_maps.numel() == 0:
        return value_maps.clone(), value_maps.clone()
    roots, areas = _label(value_maps.contiguous())
    batch, height, width = value_maps.shape
    first = torch.arange(batch, dtype=torch.int32, device=roots.device) * (height * width)
    return torch.where(roots < 0, -1, roots - first[:, None, None]), areas


def _label(value_maps: Tensor) -> tuple[Tensor, Tensor]:
    """Label the parts of all values.

    Args:
        value_maps: ``(B, H, W)`` int32, contiguous.

    Returns:
        tuple: ``(B, H, W)`` int32, the root of each pixel as its index in all maps, -1 for none;
        and ``(B, H, W)`` int32, the area of each part at its root.
    """
    _, height, width = value_maps.shape
    size = value_maps.numel()
    parents = _first_of_runs(value_maps)
    roots = torch.full_like(value_maps, -1)
    areas = torch.zeros_like(value_maps)
    kernels = _kernels()
    looping, streaming = ((-(-size // options['BLOCK']),) for options in (_LOOPING, _STREAMING))
    with on_device(value_maps.device):
        kernels.join_runs_kernel[looping](value_maps, parents, size, height, width, **_LOOPING)
        kernels.flatten_runs_kernel[looping](value_maps, parents, size, width, **_LOOPING)
        kernels.measure_parts_kernel[streaming](
            value_maps, parents, roots, areas, size, width, **_STREAMING
        )
    return roots, areas


def _largest(instance_maps: Tensor, roots: Tensor, areas: Tensor, numbers: int) -> Tensor:
    """Find the largest part of each instance.

    Args:
        instance_maps: ``(B, H, W)`` int32, contiguous, with values below ``numbers``.
        roots, areas: see :func:`_label`.
        numbers: of instances, with 0.

    Returns:
        Tensor: ``(B, numbers)`` int64 keys, see ``largest_parts_kernel``; 0 if there is none.
    """
    batch, height, width = instance_maps.shape
    size = instance_maps.numel()
    keys = torch.zeros(batch, numbers, dtype=torch.int64, device=instance_maps.device)
    with on_device(instance_maps.device):
        _kernels().largest_parts_kernel[(-(-size // _STREAMING['BLOCK']),)](
            instance_maps, roots, areas, keys, size, height * width, numbers, **_STREAMING
        )
    return keys


def _first_of_runs(instance_maps: Tensor) -> Tensor:
    """Return the first pixel of each pixel's run of equal values in its row.

    Args:
        instance_maps: ``(B, H, W)`` int32.

    Returns:
        Tensor: ``(B, H, W)`` int32, contiguous, indices in all maps.
    """
    size = instance_maps.numel()
    indices = torch.arange(size, dtype=torch.int32, device=instance_maps.device)
    continues = F.pad(instance_maps[..., 1:] == instance_maps[..., :-1], (1, 0))
    starts = indices.view(instance_maps.shape).masked_fill(continues, 0)
    return starts.cummax(dim=-1).values.contiguous()


def _choose(
    instance_maps: Tensor, points_xy: Tensor, roots: Tensor, areas: Tensor, keys: Tensor
) -> Tensor:
    """Keep one of the parts of each instance.

    Args:
        instance_maps: ``(B, H, W)`` int32.
        points_xy: ``(B, N, 2)`` floats.
        roots, areas: see :func:`_label`.
        keys: see :func:`_largest`.

    Returns:
        Tensor: ``(B, H, W)`` int32.
    """
    height, width = instance_maps.shape[1:]
    numbers = instance_maps.flatten(1).long()
    columns, rows = points_xy.floor().long().unbind(dim=-1)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    pixels = (rows * width + columns).where(inside, 0)
    wanted = torch.arange(1, keys.shape[1], device=keys.device)
    is_own = inside & (numbers.gather(1, pixels) == wanted)
    of_points = roots.flatten(1).gather(1, pixels).long()
    areas_of_points = areas.flatten()[of_points.clamp_min(0)]
    largest, largest_areas = _LAST - (keys[:, 1:] & _LAST), keys[:, 1:] >> 32
    is_kept = is_own & ((areas_of_points > 1) | (largest_areas == 1))
    chosen = F.pad(of_points.where(is_kept, largest), (1, 0))
    return instance_maps * (chosen.gather(1, numbers).view_as(roots) == roots)


def _trial(device: torch.device) -> None:
    """Launch the kernels on small maps with a long part, and compare the result."""
    maps = torch.zeros(2, 8, 40, dtype=torch.int32, device=device)
    maps[:, ::2], maps[:, 1::4, 0], maps[:, 3::4, -1], maps[1, 2, 20] = 1, 1, 1, 0
    expected = maps.clone()
    expected[1, 3:], expected[1, 2, 21:] = 0, 0
    points_xy = torch.full((2, 1, 2), 0.5, device=device)
    if not torch.equal(keep_connected(maps, points_xy), expected):
        raise RuntimeError('the parts of a trial are wrong')


def _kernels() -> ModuleType:
    """Import the module of the kernels, which needs triton."""
    from mmp2seg.ops import components_kernels

    return components_kernels
