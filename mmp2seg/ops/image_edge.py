"""Points exactly on the right or the lower edge of an image.

It is not in :mod:`mmp2seg.ops.coords`, because readers of points import no torch.
"""

import numpy as np
import numpy.typing as npt

# Distance that points keep from the right and the lower border, as a share of the image's side. It
# is 16 units of float32 precision, so that rounding after a multiplication by a scale factor cannot
# reach the border.
BORDER_MARGIN = 2.0**-20
_EDGE_TOLERANCE = 1e-9


def onto_last_pixel(points_xy: npt.ArrayLike, height: int, width: int) -> npt.NDArray[np.float64]:
    """Move points exactly on the right or the lower edge of an image onto its last pixel.

    Annotation tools let a click end at ``x == W``, which belongs to no pixel. Readers call this for
    all points of a file, before they ask which are inside. Such a coordinate, also if it is above
    ``W`` by a share of 1e-9 (per cent are rounded), becomes ``W * (1 - BORDER_MARGIN)`` (or the
    same of ``H``), which no resize can round onto the edge again; all others stay exactly as they
    are.

    Args:
        points_xy: ``(N, 2)`` floats, ``(x, y)``.

    Returns:
        np.ndarray: ``(N, 2)`` float64, a copy.
    """
    points = np.array(points_xy, dtype=np.float64).reshape(-1, 2)
    sides = np.array([width, height], np.float64)
    on_edge = (points >= sides) & (points <= sides * (1 + _EDGE_TOLERANCE))
    return np.where(on_edge, sides * (1 - BORDER_MARGIN), points)
