"""Read and write maps of class or object numbers as PNG files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from mmp2seg.files.atomic_write import replaced_file

_COLOUR_MODES = ('RGB', 'RGBA')
_CONVERTER = 'tools/dataset_converters/import_semantic_maps.py --from-palette'


def voc_palette() -> np.ndarray:
    """Return the PASCAL VOC palette, (256, 3) uint8 RGB; all colours differ.

    The bits of an index, from the lowest up, are assigned to red, green and blue in turn: the first
    three set the highest bit of each channel, the next three the bit below, and so on.
    """
    values = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        channel, place = bit % 3, 7 - bit // 3
        palette[:, channel] |= (((values >> bit) & 1) << place).astype(np.uint8)
    return palette


def write_palette_png(path: str | Path, index_map: np.ndarray) -> None:
    """Write an (H, W) uint8 map as PNG with VOC's palette, atomically; create missing folders."""
    image = Image.fromarray(index_map)
    image.putpalette(voc_palette().tobytes())
    with replaced_file(path) as temporary:
        image.save(temporary, format='PNG')


def read_index_png(path: str | Path, *, from_palette: bool = False) -> np.ndarray:
    """Read a map of numbers from a file, see :func:`decode_index_map`.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: see :func:`decode_index_map`; the message names the file.
        FileNotFoundError: if the file does not exist.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such file') from error
    return decode_index_map(data, where=str(path), from_palette=from_palette)


def decode_index_map(data: bytes, *, where: str, from_palette: bool = False) -> np.ndarray:
    """Decode a map of numbers.

    Args:
        data: content of a palette or grey image of at most 8 bits, in a lossless format;
            greyscale of less than 8 bits is scaled to 0..255, as PNG defines it.
        where: the file, for error messages.
        from_palette: read the colours instead of the palette indices: VOC's colour k becomes k.
            This also accepts RGB images. Greyscale images keep their values.

    Returns:
        (H, W) uint8: the stored palette indices or grey values, or the numbers of VOC's colours.

    Raises:
        ValueError: the data are unreadable, JPEG, of 16 bits or colours instead of numbers, or,
            with ``from_palette``, have a colour that is not in VOC's palette; the message begins
            with ``where``.
    """
    image = _decode_image(data, where)
    if image.format == 'JPEG':
        raise ValueError(
            f'{where}: expected a PNG image, got a JPEG, whose compression changes the numbers'
        )
    if image.mode.startswith(('I', 'F')):
        raise ValueError(
            f'{where}: expected a palette or grey image of 8 bits, got more (mode '
            f'{image.mode}); save it as 8-bit grey'
        )
    if from_palette and image.mode in ('P', *_COLOUR_MODES):
        return _numbers_of_colours(image, where)
    if image.mode in _COLOUR_MODES:
        raise ValueError(
            f'{where}: expected a palette or grey image, got {image.mode}, '
            f'{_colour_advice(image, where)}'
        )
    if image.mode not in ('P', 'L'):
        raise ValueError(
            f'{where}: expected a palette or grey image of 8 bits, got mode {image.mode}'
        )
    return np.array(image)


def _decode_image(data: bytes, where: str) -> Image.Image:
    """Load an image and keep its ``format``."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    # Pillow raises these errors for broken files
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f'{where}: expected a PNG image, got unreadable data ({error})') from error
    return image


def _numbers_of_colours(image: Image.Image, where: str) -> np.ndarray:
    """Return the (H, W) uint8 numbers of an image in VOC's colours; transparency is ignored."""
    colours, palette = np.array(image.convert('RGB')), voc_palette()
    numbers = np.zeros(512, np.uint8)
    numbers[_high_bits(palette)] = np.arange(256)
    index_map = numbers[_high_bits(colours)]
    unknown = colours[(palette[index_map] != colours).any(-1)]
    if len(unknown):
        red, green, blue = unknown[0].tolist()
        raise ValueError(
            f"{where}: expected colours of VOC's palette, got ({red}, {green}, {blue})"
        )
    return index_map


def _high_bits(colours: np.ndarray) -> np.ndarray:
    """Pack (..., 3) uint8 colours into 9-bit numbers, which are unique for VOC's colours."""
    red, green, blue = np.moveaxis(colours.astype(np.int64) >> 5, -1, 0)
    return red << 6 | green << 3 | blue


def _colour_advice(image: Image.Image, where: str) -> str:
    """Explain how to convert a map that is stored as colours."""
    try:
        _numbers_of_colours(image, where)
    except ValueError:
        return "and some of its colours are not in VOC's palette"
    return f"in the colours of VOC's palette: convert it with {_CONVERTER}"
