"""Read the pixels of an image, as mmcv reads them, also if it has more than 8 bits."""

import io
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from mmp2seg.files.image_folder import MAX_PIXELS

# Shares of the values of an image of more than 8 bits that may become black and white. A camera of
# 12 bits fills a small part of 16 bits, and a single hot pixel should not decide.
_DARKEST, _BRIGHTEST = 0.1, 99.9


def read_rgb(path: str | Path) -> npt.NDArray[np.uint8]:
    """Read an image as RGB of 8 bits.

    For images of 8 bits the pixels are those of ``mmcv.imread``: grey becomes three equal channels,
    palettes become colours, transparency is ignored, and the EXIF rotation is applied. The values
    of an image of more bits are stretched so that their .1 and 99.9 percentiles become 0 and 255;
    ``mmcv.imread`` keeps the upper 8 bits, which are black for many microscopes.

    Returns:
        NDArray: ``(H, W, 3)`` uint8.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an image that OpenCV can read, or has more than :data:`MAX_PIXELS`
            pixels; the message names the file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such file')
    try:
        data = path.read_bytes()
        require_image(data)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except (OSError, ValueError, cv2.error) as error:
        raise ValueError(bad_image(path, error)) from error
    if image is None:
        raise ValueError(f'{path}: expected an image, got a file that OpenCV cannot read')
    if image.dtype != np.uint8:
        image = _stretch(image)
    return np.ascontiguousarray(image[..., ::-1])


def require_image(data: bytes) -> None:
    """Check that the data can be those of an image, before a decoder fills the memory.

    Raises:
        ValueError: there are none, or the header states more than :data:`MAX_PIXELS` pixels.
    """
    if not data:
        raise ValueError('got an empty file')
    try:
        Image.open(io.BytesIO(data)).close()
    except Image.DecompressionBombError:
        raise ValueError(f'got one of more than {MAX_PIXELS} pixels') from None
    except Exception:  # of a format that only OpenCV reads, or broken: for the decoder to say
        pass


def bad_image(path: str | Path, error: Exception) -> str:
    """Return a line about a file that is no image: its path and the reason of a decoder."""
    if isinstance(error, OSError) and error.strerror:
        return f'{path}: expected an image, {error.strerror}'
    reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
    return f'{path}: expected an image, {reason[0]}'


def _stretch(image: npt.NDArray) -> npt.NDArray[np.uint8]:
    values = image.astype(np.float32)
    values = np.where(np.isfinite(values), values, values.min(initial=0, where=np.isfinite(values)))
    low, high = np.percentile(values, [_DARKEST, _BRIGHTEST])
    if low == high:
        low, high = values.min(), values.max()
    values = (values - low) * (255 / max(high - low, 1e-6))
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
