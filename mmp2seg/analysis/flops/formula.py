"""Multiply-adds of the pairwise affinity by formula.

Dimensions: ``N`` pixels of the embedding's grid; ``D`` its channels; ``C`` semantic scores. In
formulas, as in the paper: ``F`` embedding, ``A`` affinity, ``C`` scores, ``S`` propagated scores.
"""

from dataclasses import dataclass

CPU_BLOCK_SIZE = 768  # of mmp2seg.ops.affinity.streamed
_DISTANCE_CHANNELS = 4  # the squared distance of two pixels is an inner product of four numbers


@dataclass(frozen=True)
class AffinityMacs:
    """Multiply-adds of one pass over the pairs of an image's pixels.

    Attributes:
        logits: of ``F^T F``.
        products: of the affinities with the scores, or with the embedding in the gradient of the
            loss.
        distances: of the pixels' distances; 0 without a radius.
        weights: of the loss's sum over the pairs; 0 for a propagation.
    """

    logits: int
    products: int
    distances: int = 0
    weights: int = 0

    @property
    def total(self) -> int:
        return self.logits + self.products + self.distances + self.weights


def dense_propagation_macs(num_pixels: int, channels: int, num_scores: int) -> AffinityMacs:
    """Multiply-adds of ``S = A C`` with the whole matrix: ``N^2 D`` and ``N^2 C``."""
    return AffinityMacs(num_pixels**2 * channels, num_pixels**2 * num_scores)


def streamed_propagation_macs(
    num_pixels: int,
    channels: int,
    num_scores: int,
    *,
    width: int | None = None,
    radius: float | None = None,
    block_size: int = CPU_BLOCK_SIZE,
) -> AffinityMacs:
    """Multiply-adds of :func:`mmp2seg.ops.affinity.pairwise.propagate` on a CPU, for one image and
    one round.

    Only tiles on and above the diagonal are computed, about half of ``N^2 D``. Each is multiplied
    with the scores of its columns and, transposed, of its rows. The sum of the affinities, which
    normalises a row, counts as one more score. Tiles beyond the radius are skipped.

    Args:
        num_pixels, channels, num_scores: N, D and C.
        width: of the grid; needed with a radius.
        radius: see ``propagate``; the side of its tiles is ``radius * width``, at least 128 and at
            most ``block_size``.
        block_size: pixels along a side of a tile.

    Raises:
        ValueError: for a radius without width.
    """
    if radius is None:
        computed, both = _upper_tiles(num_pixels, block_size)
        return AffinityMacs(computed * channels, both * (num_scores + 1))
    if width is None:
        raise ValueError('expected the width of the grid with a radius, got None')
    block_size = min(max(int(radius * width), 128), block_size)
    computed = both = 0
    starts = range(0, num_pixels, block_size)
    for start in starts:
        height = min(block_size, num_pixels - start)
        for other in starts[start // block_size :]:
            if other // width - (start + height - 1) // width > radius:
                break
            area = height * min(block_size, num_pixels - other)
            computed += area
            both += area if other == start else 2 * area
    return AffinityMacs(computed * channels, both * (num_scores + 1), computed * _DISTANCE_CHANNELS)


def streamed_loss_macs(
    num_pixels: int, channels: int, *, needs_grad: bool = True, block_size: int = CPU_BLOCK_SIZE
) -> AffinityMacs:
    """Multiply-adds of :func:`mmp2seg.ops.affinity.pair_loss` on a CPU, for one image with any
    number of maps.

    Args:
        num_pixels: pixels that take part in a pair.
        channels: D.
        needs_grad: also compute the gradient in the same pass, ``N^2 D`` more.
        block_size: pixels along a side of a tile.
    """
    computed, both = _upper_tiles(num_pixels, block_size)
    products = both * channels if needs_grad else 0
    return AffinityMacs(computed * channels, products, weights=computed)


def _upper_tiles(num_pixels: int, block_size: int) -> tuple[int, int]:
    """Pairs in tiles on and above the diagonal, and all pairs."""
    whole, rest = divmod(num_pixels, block_size)
    diagonal = whole * block_size**2 + rest**2
    return (num_pixels**2 + diagonal) // 2, num_pixels**2
