"""Maps of class or object numbers as PNG."""

from pathlib import Path

import numpy as np
from PIL import Image


def voc_palette() -> np.ndarray:
    """PASCAL VOC's colours, (256, 3) uint8 RGB.

    Bit j of a value goes, from the lowest up, in turn to red, green and blue, the first three bits
    to the highest bit of the colours, the next three to the one below.
    """
    values = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        channel, place = bit % 3, 7 - bit // 3
        palette[:, channel] |= (((values >> bit) & 1) << place).astype(np.uint8)
    return palette


def write_palette_png(path: str | Path, index_map: np.ndarray) -> None:
    """Write an (H, W) uint8 map as PNG with VOC's palette."""
    image = Image.fromarray(index_map)
    image.putpalette(voc_palette().tobytes())
    image.save(path)


def read_index_png(path: str | Path) -> np.ndarray:
    """Read the values of a palette or grey PNG.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: if the file is no image, or has colours instead of values.
        FileNotFoundError: if it does not exist.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ('P', 'L'):
                raise ValueError(f'{path}: expected a palette or grey image, got {image.mode}')
            return np.array(image)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such file') from error
    except (OSError, SyntaxError) as error:  # how Pillow reports a broken PNG
        raise ValueError(f'{path}: expected a PNG image, {error}') from error
