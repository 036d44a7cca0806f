"""Triton kernels of connected parts; :mod:`.components_fused` launches them.

This module needs triton. Each program handles a block of pixels. Parts are labelled by union-find,
as by Komura (2015, "GPU-based cluster-labeling algorithm without the use of conventional
iteration") and Playne and Hawick (2018, "A new algorithm for parallel connected-component labelling
on GPUs"): each pixel has a parent, the root of a tree is its own parent, and trees are joined by
atomic minima. Here, each pixel starts with the first pixel of its run in the row as its parent, so
that about one pair of pixels has to be joined for each two runs that touch.

Why no order of the programs, and no old value in a cache, changes the result:

- A parent's index is at most its pixel's and only decreases, so a tree's root is its first pixel.
- A pair that waits to be joined is dropped only if both are one pixel, or if the atomic minimum
  returned that the larger one was a root until now. Otherwise that minimum may have replaced
  another parent; the program goes on with this one instead. So whatever was connected by parents
  and waiting pairs remains connected, and at the end there are no waiting pairs.
- A value that was read and is out of date was a parent once, so it is in the same part.
- Each step replaces a pixel of a pair by one before it, or drops the pair: where both look like
  roots, by the value that the atomic minimum returns, never out of date. So no loop is endless.
"""

import triton
import triton.language as tl


@triton.jit
def _instance_at(maps_ptr, pixels, exists):
    """Return the instances of pixels, 0 for those that do not exist."""
    return tl.load(maps_ptr + pixels, mask=exists, other=0)


@triton.jit
def _join(parents_ptr, first, other, active):
    """Join the trees of pairs of pixels where ``active``, which may differ within a block."""
    active = active & (first != other)
    while tl.max(active.to(tl.int32), axis=0) > 0:
        # .cg: not from the cache of a multiprocessor, which does not see the others' atomics
        above_first = tl.load(parents_ptr + first, mask=active, other=0, cache_modifier='.cg')
        above_other = tl.load(parents_ptr + other, mask=active, other=0, cache_modifier='.cg')
        are_roots = active & (above_first == first) & (above_other == other)
        first = tl.minimum(above_first, above_other)
        other = tl.maximum(above_first, above_other)
        # what it returns without the mask is undefined
        before = tl.atomic_min(parents_ptr + other, first, mask=are_roots, sem='relaxed')
        is_joined = are_roots & (before == other)
        other = tl.where(are_roots, before, other)
        active = active & (is_joined == 0) & (first != other)


@triton.jit
def join_runs_kernel(
    maps_ptr,  # (size // (height * width), height, width) int32
    parents_ptr,  # as the maps, int32; in: the first pixel of each run; out: of each part one tree
    size,
    height,
    width,
    BLOCK: tl.constexpr,
):
    """Join the runs of pixels of an instance that touch those of the row above.

    A pair is left out where a pair at its left or right joins the same two runs.
    """
    pixels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < size
    columns = pixels % width
    has_above = inside & ((pixels // width) % height > 0)
    has_left = columns > 0
    has_right = columns < width - 1
    own = _instance_at(maps_ptr, pixels, inside)
    is_some = own > 0
    left = is_some & (_instance_at(maps_ptr, pixels - 1, inside & has_left) == own)
    right = is_some & (_instance_at(maps_ptr, pixels + 1, inside & has_right) == own)
    above = pixels - width
    up = is_some & (_instance_at(maps_ptr, above, has_above) == own)
    up_left = is_some & (_instance_at(maps_ptr, above - 1, has_above & has_left) == own)
    up_right = is_some & (_instance_at(maps_ptr, above + 1, has_above & has_right) == own)

    by_up = up & ((left & up_left) == 0)
    by_up_left = up_left & (up == 0) & (left == 0)
    by_up_right = up_right & (up == 0) & (right == 0)
    _join(parents_ptr, pixels, tl.where(up, above, above - 1), by_up | by_up_left)
    _join(parents_ptr, pixels, above + 1, by_up_right)


@triton.jit
def flatten_runs_kernel(
    maps_ptr,  # (size // width, width) int32
    parents_ptr,  # as the maps, int32; out: the parent of the first pixel of a run is a root
    size,
    width,
    BLOCK: tl.constexpr,
):
    """Make the roots the parents of the first pixels of the runs.

    Each pixel's parent is written by its own program only. Every step writes an ancestor, which
    shortens the way of all others.
    """
    pixels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < size
    own = _instance_at(maps_ptr, pixels, inside)
    left = _instance_at(maps_ptr, pixels - 1, inside & (pixels % width > 0))
    active = (own > 0) & (left != own)
    node = tl.load(parents_ptr + pixels, mask=active, other=0, cache_modifier='.cg')
    while tl.max(active.to(tl.int32), axis=0) > 0:
        above = tl.load(parents_ptr + node, mask=active, other=0, cache_modifier='.cg')
        active = active & (above != node)
        tl.store(parents_ptr + pixels, above, mask=active)
        node = tl.where(active, above, node)


@triton.jit
def measure_parts_kernel(
    maps_ptr,  # (size // width, width) int32
    parents_ptr,  # as the maps, int32, from flatten_runs_kernel
    roots_ptr,  # as the maps, int32, -1 before: the root of each pixel
    areas_ptr,  # as the maps, int32, 0 before: the pixels of each part, at its root
    size,
    width,
    BLOCK: tl.constexpr,
):
    """Find each pixel's root and count the pixels of the parts, a run at a time."""
    pixels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < size
    columns = pixels % width
    own = _instance_at(maps_ptr, pixels, inside)
    is_some = own > 0
    is_first = _instance_at(maps_ptr, pixels - 1, inside & (columns > 0)) != own
    is_last = _instance_at(maps_ptr, pixels + 1, inside & (columns < width - 1)) != own
    parents = tl.load(parents_ptr + pixels, mask=is_some, other=0)
    roots = tl.load(parents_ptr + parents, mask=is_some, other=0)
    tl.store(roots_ptr + pixels, roots, mask=is_some)
    length = pixels - tl.where(is_first, pixels, parents) + 1
    tl.atomic_add(areas_ptr + roots, length, mask=is_some & is_last, sem='relaxed')


@triton.jit
def largest_parts_kernel(
    maps_ptr,  # (size // frame, frame) int32
    roots_ptr,  # as the maps, int32
    areas_ptr,  # as the maps, int32
    keys_ptr,  # (size // frame, numbers) int64, 0 before; written
    size,
    frame,  # pixels of a map
    numbers,  # one above the largest number of an instance
    BLOCK: tl.constexpr,
):
    """Find the largest key of each instance's parts: area, and then ``2**31 - 1 - root``."""
    pixels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < size
    own = _instance_at(maps_ptr, pixels, inside)
    roots = tl.load(roots_ptr + pixels, mask=inside, other=-1)
    is_root = (roots == pixels) & (own < numbers)
    areas = tl.load(areas_ptr + pixels, mask=is_root, other=0)
    keys = (areas.to(tl.int64) << 32) | (2147483647 - pixels).to(tl.int64)
    places = (pixels // frame).to(tl.int64) * numbers + own
    tl.atomic_max(keys_ptr + places, keys, mask=is_root, sem='relaxed')
