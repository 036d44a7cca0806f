"""Triton kernels of guided propagation; :mod:`.guided_fused` launches them.

This module needs triton. Each program handles a block of pixels of an image of a batch. Positions
outside the frame are clamped to it, which repeats the outermost pixels.
"""

import triton
import triton.language as tl


@triton.jit
def _neighbors(steps_ptr, index, rows, columns, height, width):
    """Return the places of one neighbour of each pixel, clamped to the frame."""
    down = tl.load(steps_ptr + 2 * index)
    right = tl.load(steps_ptr + 2 * index + 1)
    near_rows = tl.minimum(tl.maximum(rows + down, 0), height - 1)
    near_columns = tl.minimum(tl.maximum(columns + right, 0), width - 1)
    return near_rows * width + near_columns


@triton.jit
def _differences(image_ptr, valid_ptr, near, own, offsets, mask, inside, HAS_VALID: tl.constexpr):
    """Return the colour differences ``(BLOCK, PADDED)`` of neighbours, 0 for those not valid."""
    difference = tl.load(image_ptr + offsets + near[:, None], mask=mask, other=0.0) - own
    known = inside
    if HAS_VALID:
        known = inside & (tl.load(valid_ptr + near, mask=inside, other=0) != 0)
        # a factor of 0 would not remove what is not finite
        difference = tl.where(known[:, None], difference, 0.0)
    return difference, known


@triton.jit
def neighbor_weights_kernel(
    image_ptr,  # (B, CHANNELS, height, width) float32
    valid_ptr,  # (B, height, width) uint8, unused without HAS_VALID
    steps_ptr,  # (NEIGHBORS, 2) int32, rows and columns
    near_ptr,  # (NEIGHBORS,) float32, the term of the distance
    weights_ptr,  # (B, 1 + NEIGHBORS, height, width) float32, written: of the pixel itself first
    height,
    width,
    color_scale,
    root,  # CHANNELS ** -0.5
    NEIGHBORS: tl.constexpr,
    CHANNELS: tl.constexpr,
    PADDED: tl.constexpr,
    HAS_VALID: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Compute the rows of the affinity; see ``guided_propagation`` for the formula."""
    size = height * width
    image = tl.program_id(1).to(tl.int64)
    image_ptr += image * CHANNELS * size
    weights_ptr += image * (1 + NEIGHBORS) * size
    if HAS_VALID:
        valid_ptr += image * size
    pixels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < size
    rows = pixels // width
    columns = pixels % width
    channels = tl.arange(0, PADDED)
    mask = inside[:, None] & (channels < CHANNELS)[None, :]
    offsets = channels[None, :] * size
    own = tl.load(image_ptr + offsets + pixels[:, None], mask=mask, other=0.0)

    total = tl.zeros([BLOCK, PADDED], tl.float32)
    squares = tl.zeros([BLOCK, PADDED], tl.float32)
    count = tl.zeros([BLOCK], tl.float32)
    share = tl.zeros([BLOCK], tl.float32)  # of the known neighbours in the term of the distance
    for index in range(NEIGHBORS):
        near = _neighbors(steps_ptr, index, rows, columns, height, width)
        difference, known = _differences(
            image_ptr, valid_ptr, near, own, offsets, mask, inside, HAS_VALID
        )
        total += difference
        squares += difference * difference
        count += tl.where(known, 1.0, 0.0)
        share += tl.where(known, tl.load(near_ptr + index), 0.0)
    some = tl.maximum(count, 1.0)
    variance = tl.maximum(squares - total * total / (count + 1.0)[:, None], 0.0) / some[:, None]
    factor = root / (color_scale * tl.sqrt(variance) + 1e-8)

    largest = tl.full([BLOCK], -float('inf'), tl.float32)
    for index in range(NEIGHBORS):
        near = _neighbors(steps_ptr, index, rows, columns, height, width)
        difference, known = _differences(
            image_ptr, valid_ptr, near, own, offsets, mask, inside, HAS_VALID
        )
        scaled = difference * factor
        logits = tl.where(known, -tl.sum(scaled * scaled, axis=1), -float('inf'))
        largest = tl.maximum(largest, logits)
    largest = tl.where(count > 0, largest, 0.0)

    exponentials = tl.zeros([BLOCK], tl.float32)
    for index in range(NEIGHBORS):
        near = _neighbors(steps_ptr, index, rows, columns, height, width)
        difference, known = _differences(
            image_ptr, valid_ptr, near, own, offsets, mask, inside, HAS_VALID
        )
        scaled = difference * factor
        logits = -tl.sum(scaled * scaled, axis=1)
        exponentials += tl.where(known, tl.exp(logits - largest), 0.0)
    exponentials = tl.where(count > 0, exponentials, 1.0)

    keeps = count == 0
    if HAS_VALID:
        keeps = keeps | (tl.load(valid_ptr + pixels, mask=inside, other=0) == 0)
    target = weights_ptr + pixels
    tl.store(target, tl.where(keeps, 1.0, 0.0), mask=inside)
    for index in range(NEIGHBORS):
        near = _neighbors(steps_ptr, index, rows, columns, height, width)
        difference, known = _differences(
            image_ptr, valid_ptr, near, own, offsets, mask, inside, HAS_VALID
        )
        scaled = difference * factor
        logits = -tl.sum(scaled * scaled, axis=1)
        weight = tl.exp(logits - largest) / exponentials + tl.load(near_ptr + index)
        weight = tl.where(known & (keeps == 0), weight / (1.0 + share), 0.0)
        target += size
        tl.store(target, weight, mask=inside)


@triton.jit
def propagation_step_kernel(
    scores_ptr,  # (B, num_maps, height, width) float32
    weights_ptr,  # (B, 1 + NEIGHBORS, height, width) float32
    steps_ptr,  # (NEIGHBORS, 2) int32
    fixed_ptr,  # (B, height, width) uint8, unused without HAS_FIXED
    result_ptr,  # (B, num_maps, height, width) float32, written
    num_maps,
    height,
    width,
    NEIGHBORS: tl.constexpr,
    MAPS: tl.constexpr,
    HAS_FIXED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Compute ``A S`` for a block of pixels of some maps, which share the weights that are read."""
    size = height * width
    image = tl.program_id(2).to(tl.int64)
    scores_ptr += image * num_maps * size
    result_ptr += image * num_maps * size
    weights_ptr += image * (1 + NEIGHBORS) * size
    if HAS_FIXED:
        fixed_ptr += image * size
    pixels = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < size
    rows = pixels // width
    columns = pixels % width
    maps = tl.program_id(1) * MAPS + tl.arange(0, MAPS)
    mask = (maps < num_maps)[:, None] & inside[None, :]
    offsets = maps.to(tl.int64)[:, None] * size
    source = weights_ptr + pixels
    own = tl.load(source, mask=inside, other=0.0)
    before = tl.load(scores_ptr + offsets + pixels[None, :], mask=mask, other=0.0)
    sums = own[None, :] * before
    for index in range(NEIGHBORS):
        near = _neighbors(steps_ptr, index, rows, columns, height, width)
        source += size
        weight = tl.load(source, mask=inside, other=0.0)
        values = tl.load(scores_ptr + offsets + near[None, :], mask=mask, other=0.0)
        sums += weight[None, :] * values
    if HAS_FIXED:
        fixed = tl.load(fixed_ptr + pixels, mask=inside, other=0) != 0
        sums = tl.where(fixed[None, :], before, sums)
    tl.store(result_ptr + offsets + pixels[None, :], sums, mask=mask)
