"""Triton kernels of the pairwise affinity; only :mod:`mmp2seg.ops.affinity.fused` launches them.

This module needs triton. Both kernels work like flash attention: a program handles a block of rows
of one image and loops over all columns, and tiles of logits stay in registers.

All products run on tensor cores in bfloat16 with float32 sums. Tensor cores truncate: a sum over
thousands of columns loses up to 5e-5 of its value (measured on an H200). So the sums over columns
are kept outside of them where registers allow it. A factor of higher precision is
written as a sum of bfloat16 TERMS, ``x = x1 + x2 + x3``, largest first. Products below the
precision of the last term are left out. One term is bfloat16, two terms represent float16 exactly
(and round float32 to 16 bits), three terms represent float32's 24 bits. This is several times
faster than a float32 product without tensor cores and needs 6 bytes of shared memory per element.
Unlike tf32, it does not depend on the memory order of the factors.

The caller pads rows to whole blocks and channels to a power of two, so loads need no mask.
"""

import triton
import triton.language as tl


@triton.jit
def _load_terms(base, stride, rows, WIDTH: tl.constexpr, TERMS: tl.constexpr):
    """Load rows of a ``(TERMS, ..., WIDTH)`` operand whose terms are ``stride`` elements apart."""
    offsets = rows[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :]
    first = tl.load(base + offsets)
    second = first
    third = first
    if TERMS >= 2:
        second = tl.load(base + stride + offsets)
    if TERMS >= 3:
        third = tl.load(base + 2 * stride + offsets)
    return first, second, third


@triton.jit
def _split(values, TERMS: tl.constexpr):
    """Split float32 into its bfloat16 terms."""
    first = values.to(tl.bfloat16)
    second = first
    third = first
    if TERMS >= 2:
        rest = values - first.to(tl.float32)
        second = rest.to(tl.bfloat16)
        if TERMS >= 3:
            third = (rest - second.to(tl.float32)).to(tl.bfloat16)
    return first, second, third


@triton.jit
def _dot(a1, a2, a3, b1, b2, b3, total, TERMS: tl.constexpr):
    """Return ``total + a @ b``; small products are added first."""
    if TERMS >= 3:
        total = tl.dot(a3, b1, total)
        total = tl.dot(a2, b2, total)
        total = tl.dot(a1, b3, total)
    if TERMS >= 2:
        total = tl.dot(a2, b1, total)
        total = tl.dot(a1, b2, total)
    return tl.dot(a1, b1, total)


@triton.jit
def pair_loss_kernel(
    terms_ptr,  # (TERMS, B, padded, WIDTH) bfloat16, pixels that take part first
    codes_ptr,  # (B, MAPS, padded) int32, in the same order, -1 in the padding
    weights_ptr,  # (B, MAPS, 3) float32 >= 0, weights of same, different and mixed pairs
    num_active_ptr,  # (B,) int32, pixels that take part
    order_ptr,  # (B, num) int32, the pixel of each row
    loss_ptr,  # (B, number of row blocks) float32, written
    grad_ptr,  # (B, num, channels) float32, written in the order of pixels if NEEDS_GRAD
    num,
    padded,
    channels,
    terms_stride,
    MAPS: tl.constexpr,
    TERMS: tl.constexpr,
    NEEDS_GRAD: tl.constexpr,
    WIDTH: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLS: tl.constexpr,
):
    """Compute loss and gradient of one block of rows; BLOCK_ROWS is a multiple of BLOCK_COLS.

    With the gradient, a program visits all tiles of its rows. Visiting only the upper half would
    mean adding to the rows of other programs, with atomics (random order of summation) or a buffer
    per program. Without the gradient, it starts at the diagonal block and counts later tiles twice.
    """
    block = tl.program_id(0)
    image = tl.program_id(1)
    terms_base = terms_ptr + image.to(tl.int64) * padded * WIDTH
    codes_base = codes_ptr + image * MAPS * padded
    num_active = tl.load(num_active_ptr + image)
    rows = block * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    i1, i2, i3 = _load_terms(terms_base, terms_stride, rows, WIDTH, TERMS)
    loss = tl.zeros([BLOCK_ROWS], tl.float32)
    grad = tl.zeros([BLOCK_ROWS, WIDTH], tl.float32)
    start = 0 if NEEDS_GRAD else block * BLOCK_ROWS
    stop = tl.where(block * BLOCK_ROWS < num_active, num_active, 0)
    for col in range(start, stop, BLOCK_COLS):
        cols = col + tl.arange(0, BLOCK_COLS)
        j1, j2, j3 = _load_terms(terms_base, terms_stride, cols, WIDTH, TERMS)
        logits = tl.zeros([BLOCK_ROWS, BLOCK_COLS], tl.float32)
        logits = _dot(i1, i2, i3, tl.trans(j1), tl.trans(j2), tl.trans(j3), logits, TERMS)
        # sigmoid(x) and 1 - sigmoid(x), without cancellation
        decay = tl.exp(-tl.abs(logits))
        larger = 1.0 / (1.0 + decay)
        affinity = tl.where(logits >= 0, larger, decay * larger)
        complement = tl.where(logits >= 0, decay * larger, larger)
        tile_loss = tl.zeros([BLOCK_ROWS, BLOCK_COLS], tl.float32)
        weight = tl.zeros([BLOCK_ROWS, BLOCK_COLS], tl.float32)  # dloss/daffinity
        for m in tl.static_range(MAPS):
            row_codes = tl.load(codes_base + m * padded + rows)[:, None]
            col_codes = tl.load(codes_base + m * padded + cols)[None, :]
            same = tl.load(weights_ptr + (image * MAPS + m) * 3)
            different = tl.load(weights_ptr + (image * MAPS + m) * 3 + 1)
            mixed = tl.load(weights_ptr + (image * MAPS + m) * 3 + 2)
            pair = tl.where(row_codes == col_codes, -same, different)
            pair = tl.where((row_codes == 0) | (col_codes == 0), mixed, pair)
            # the pair is ignored if one code is negative or both are 0
            pair = tl.where((row_codes | col_codes) <= 0, 0.0, pair)
            weight += pair
            tile_loss += tl.abs(pair) * tl.where(pair < 0, complement, affinity)
        if NEEDS_GRAD:
            loss += tl.sum(tile_loss, axis=1)
            p1, p2, p3 = _split(weight * affinity * complement, TERMS)
            if TERMS >= 3:
                tile = tl.zeros([BLOCK_ROWS, WIDTH], tl.float32)
                grad += _dot(p1, p2, p3, j1, j2, j3, tile, TERMS)
            else:
                grad = _dot(p1, p2, p3, j1, j2, j3, grad, TERMS)
        else:
            times = tl.where(col >= (block + 1) * BLOCK_ROWS, 2.0, 1.0)
            loss += tl.sum(tile_loss, axis=1) * times
    tl.store(loss_ptr + image * tl.num_programs(0) + block, tl.sum(loss, axis=0))
    if NEEDS_GRAD:
        # factor 2: e_i occurs in row i and in column i
        pixels = tl.load(order_ptr + image * num + rows, mask=rows < num, other=0)
        columns = tl.arange(0, WIDTH)
        grad_base = grad_ptr + image.to(tl.int64) * num * channels
        offsets = pixels[:, None] * channels + columns[None, :]
        mask = (rows[:, None] < num) & (columns[None, :] < channels)
        tl.store(grad_base + offsets, 2.0 * grad, mask=mask)


@triton.jit
def propagation_kernel(
    terms_ptr,  # (TERMS, B, padded, WIDTH) bfloat16
    values_ptr,  # (3, B, padded, VALUES) bfloat16, 0 in the padding
    sums_ptr,  # (B, padded, VALUES) float32, written
    padded,
    terms_stride,
    values_stride,
    beta,
    threshold,
    TERMS: tl.constexpr,
    WIDTH: tl.constexpr,
    VALUES: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLS: tl.constexpr,
):
    """Compute ``sums = A ** beta @ values`` of one block of rows.

    Affinities below the threshold count as 0, except on the diagonal.
    """
    block = tl.program_id(0)
    image = tl.program_id(1).to(tl.int64)
    terms_base = terms_ptr + image * padded * WIDTH
    values_base = values_ptr + image * padded * VALUES
    rows = block * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    i1, i2, i3 = _load_terms(terms_base, terms_stride, rows, WIDTH, TERMS)
    sums = tl.zeros([BLOCK_ROWS, VALUES], tl.float32)
    for col in range(0, padded, BLOCK_COLS):
        cols = col + tl.arange(0, BLOCK_COLS)
        j1, j2, j3 = _load_terms(terms_base, terms_stride, cols, WIDTH, TERMS)
        logits = tl.zeros([BLOCK_ROWS, BLOCK_COLS], tl.float32)
        logits = _dot(i1, i2, i3, tl.trans(j1), tl.trans(j2), tl.trans(j3), logits, TERMS)
        decay = tl.exp(-tl.abs(logits))
        log_affinity = tl.minimum(logits, 0.0) - tl.log(1.0 + decay)
        affinity = tl.where(logits >= 0, 1.0, decay) / (1.0 + decay)
        kept = (affinity >= threshold) | (rows[:, None] == cols[None, :])
        power = tl.where(kept, tl.exp(beta * log_affinity), 0.0)
        p1, p2, p3 = _split(power, 3)
        v1, v2, v3 = _load_terms(values_base, values_stride, cols, VALUES, 3)
        sums += _dot(p1, p2, p3, v1, v2, v3, tl.zeros([BLOCK_ROWS, VALUES], tl.float32), 3)
    offsets = rows[:, None] * VALUES + tl.arange(0, VALUES)[None, :]
    tl.store(sums_ptr + image * padded * VALUES + offsets, sums)
