"""Random maps, points and scores for the property-based tests.

Contents are drawn from a seed, so that Hypothesis looks at sizes, numbers and kinds, and a failure
is small in these.
"""

import numpy as np
import torch
from hypothesis import strategies as st

SEEDS = st.integers(0, 2**32 - 1)
SIDES = st.integers(1, 14)


def generator(seed):
    return torch.Generator().manual_seed(seed)


@st.composite
def masks(draw, max_side=12):
    """``(H, W)`` bool: empty, full, single pixels, noise, or blobs."""
    height, width = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    rng = np.random.default_rng(draw(SEEDS))
    share = draw(st.sampled_from([0.0, 0.02, 0.3, 0.6, 0.98, 1.0]))
    noise = rng.random((height, width))
    if draw(st.booleans()):  # blobs: columns and rows belong together
        noise = np.maximum(rng.random((height, 1)), rng.random((1, width)))
    return noise < share


@st.composite
def semantic_maps(draw, num_classes=3):
    """``(H, W)`` uint8: 0 background, 1..K classes, 255 ignore, in patches of random size."""
    height, width, patch = draw(SIDES), draw(SIDES), draw(st.integers(1, 5))
    values = draw(st.sampled_from([(0,), (255,), (1,), (0, 1), (0, 1, 2, 3, 255), (1, 2, 3)]))
    values = [value for value in values if value <= num_classes or value == 255]
    rng = np.random.default_rng(draw(SEEDS))
    coarse = rng.choice(values, (-(-height // patch), -(-width // patch)))
    return np.kron(coarse, np.ones((patch, patch), int))[:height, :width].astype(np.uint8)


@st.composite
def points_in(draw, height, width, *, max_points=6, num_classes=3):
    """``(N, 2)`` float32 points inside a frame, some of them in its corners; ``(N,)`` labels."""
    num = draw(st.integers(0, max_points))
    rng = np.random.default_rng(draw(SEEDS))
    xy = rng.random((num, 2)) * [width, height]
    if draw(st.booleans()):
        xy = np.floor(xy) + draw(st.sampled_from([0.0, 0.5]))
    corners = np.array([[0, 0], [width, height], [0, height], [width, 0]])
    for index in range(num):
        if rng.random() < 0.2:
            xy[index] = corners[rng.integers(4)]
    limit = np.array([width, height], np.float32) * np.float32(1 - 2.0**-20)
    xy = np.minimum(xy.astype(np.float32), limit)
    return torch.from_numpy(xy), torch.from_numpy(rng.integers(0, num_classes, num))


@st.composite
def scored_images(draw, *, max_points=6, num_classes=3):
    """Probabilities ``(V, H, W)``, offsets, points and labels of an image, and its colours."""
    height, width, seed = draw(SIDES), draw(SIDES), draw(SEEDS)
    points, labels = draw(points_in(height, width, max_points=max_points, num_classes=num_classes))
    sharpness = draw(st.sampled_from([0.0, 1.0, 30.0, 1000.0]))
    reach = draw(st.sampled_from([0.0, 3.0, 100.0]))
    random = generator(seed)
    logits = torch.randn(num_classes + 1, height, width, generator=random) * sharpness
    offset = torch.randn(2, height, width, generator=random) * reach
    image = torch.rand(3, height, width, generator=random)
    return logits.softmax(0), offset, points, labels, image
