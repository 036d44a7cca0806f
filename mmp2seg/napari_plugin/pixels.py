"""The pixels of a slice of an Image layer, as napari displays them."""

import numpy as np
import numpy.typing as npt


def displayed_bgr(
    pixels: npt.ArrayLike, *, rgb: bool, contrast_limits: tuple[float, float] | None = None
) -> npt.NDArray[np.uint8]:
    """Convert a slice to what :class:`mmp2seg.P2SegInferencer` reads.

    Grey values become black at the lower and white at the upper contrast limit, as on the screen;
    gamma and colour map are not applied. Colours of 16 bits are divided by 257, and those of floats
    are 0 to 1. Transparency is ignored.

    Args:
        pixels: ``(H, W)`` numbers or bool, or ``(H, W, 3 or 4)`` in the order RGB.
        rgb: whether there are colours.
        contrast_limits: of grey values. None: their smallest and largest.

    Returns:
        NDArray: ``(H, W, 3)`` uint8 BGR.

    Raises:
        ValueError: the array has another shape, or values are complex.
    """
    values = np.asarray(pixels)
    expected = '(H, W, 3 or 4) with colours' if rgb else '(H, W)'
    if values.ndim != (3 if rgb else 2) or (rgb and values.shape[2] not in (3, 4)):
        raise ValueError(f'expected a slice of shape {expected}, got {values.shape}')
    if values.dtype.kind not in 'buif':
        raise ValueError(f'expected an image of real numbers, got {values.dtype}')
    if not rgb:
        grey = _stretched(values, contrast_limits)
        return np.repeat(grey[..., None], 3, axis=2)
    values = values[..., 2::-1]
    if values.dtype.kind == 'f':
        values = np.nan_to_num(values).clip(0, 1) * 255
    elif values.dtype != np.uint8:
        # as napari: a colour is a share of the type's largest value
        largest = 1 if values.dtype == bool else np.iinfo(values.dtype).max
        values = values.clip(0) * (255 / largest)
    return np.ascontiguousarray(values.round().astype(np.uint8))


def _stretched(
    values: npt.NDArray, contrast_limits: tuple[float, float] | None
) -> npt.NDArray[np.uint8]:
    if values.dtype == np.uint8 and contrast_limits == (0, 255):
        return values
    floats = values.astype(np.float64)
    if contrast_limits is None:
        finite = floats[np.isfinite(floats)]
        contrast_limits = (finite.min(), finite.max()) if finite.size else (0, 1)
    low, high = contrast_limits
    shares = (np.nan_to_num(floats, nan=low) - low) / max(high - low, np.finfo(float).tiny)
    return (shares.clip(0, 1) * 255).round().astype(np.uint8)
