"""Read and write maps of class or object numbers as PNG files."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from mmp2seg.files.atomic_write import replaced_file

Colour = tuple[int, int, int]

_COLOUR_MODES = ('RGB', 'RGBA')
_CONVERTER = 'tools/dataset_converters/import_semantic_maps.py'
_PNG_GREY, _PNG_GREY_ALPHA = 0, 4  # colour types of a PNG header
_TIFF_BITS, _TIFF_PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0


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


def read_index_png(
    path: str | Path, *, from_palette: bool = False, colours: Mapping[Colour, int] | None = None
) -> np.ndarray:
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
    return decode_index_map(data, where=str(path), from_palette=from_palette, colours=colours)


def decode_index_map(
    data: bytes,
    *,
    where: str,
    from_palette: bool = False,
    colours: Mapping[Colour, int] | None = None,
) -> np.ndarray:
    """Decode a map of numbers.

    Args:
        data: content of a palette or grey image in a lossless format, of 1, 2, 4, 8 or 16 bits,
            with or without alpha, which is ignored.
        where: the file, for error messages.
        from_palette: read the colours instead of the palette indices: VOC's colour k becomes k.
            This also accepts RGB images. Greyscale images keep their values.
        colours: read the colours of any image, and give each the number of this table.

    Returns:
        (H, W) uint8: the stored palette indices or grey values, or the numbers of the colours.
        Values are never scaled: the 1 of a PNG of 1 bit is 1.

    Raises:
        ValueError: the data are unreadable, JPEG, have a value above 255, or colours instead of
            numbers; or a colour is not in ``colours`` or, with ``from_palette``, in VOC's palette.
            Also for formats other than PNG in which Pillow scales the values. The message begins
            with ``where``.
    """
    image = _decode_image(data, where)
    if image.format == 'JPEG':
        raise ValueError(
            f'{where}: expected a PNG image, got a JPEG, whose compression changes the numbers'
        )
    reads_colours = colours is not None or from_palette
    depth, kind = (data[24], data[25]) if image.format == 'PNG' else (8, None)
    if depth == 16 and (kind != _PNG_GREY or colours is not None):
        # Pillow keeps the upper 8 bits of these
        raise ValueError(
            f'{where}: expected a palette or grey image, got mode {_png_mode(kind)} of 16 bits; '
            'save it as 8-bit grey'
        )
    if colours is not None:
        return _numbers_in_table(image, colours, where)
    if reads_colours and image.mode in ('P', 'PA', *_COLOUR_MODES):
        return _numbers_of_colours(image, where)
    if image.mode in _COLOUR_MODES:
        raise ValueError(
            f'{where}: expected a palette or grey image, got {image.mode}, '
            f'{_colour_advice(image, where)}'
        )
    if image.format != 'PNG' and _is_scaled(image):
        raise ValueError(
            f'{where}: expected a palette or grey image of 8 bits, got mode {image.mode} of '
            f'another depth in a {image.format}; save it as PNG'
        )
    if image.mode.startswith('I'):
        return _of_many_bits(image, where)
    if image.mode not in ('P', 'L', 'LA', '1'):
        raise ValueError(
            f'{where}: expected a palette or grey image of 8 bits, got mode {image.mode}; save it '
            'as 8-bit grey'
        )
    values = np.array(image.getchannel(0) if image.mode == 'LA' else image).astype(np.uint8)
    if image.mode == 'L' and kind == _PNG_GREY and depth < 8:
        values //= 255 // (2**depth - 1)  # Pillow spreads them to 0..255
    return values


def _decode_image(data: bytes, where: str) -> Image.Image:
    """Load an image and keep its ``format``."""
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    # Pillow raises these errors for broken files
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f'{where}: expected a PNG image, got unreadable data ({error})') from error
    return image


def _png_mode(kind: int | None) -> str:
    return {_PNG_GREY: 'grey', _PNG_GREY_ALPHA: 'grey with alpha'}.get(kind or 0, 'RGB')


def _is_scaled(image: Image.Image) -> bool:
    """Return whether Pillow changed the values of an image that is no PNG."""
    if image.format == 'TIFF':
        tags = image.tag_v2
        is_white_zero = tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
        return is_white_zero or any(bits < 8 for bits in tags.get(_TIFF_BITS, (1,)))
    return image.mode == '1' or image.format == 'PPM'  # a PPM states its largest value


def _of_many_bits(image: Image.Image, where: str) -> np.ndarray:
    values = np.array(image)
    wrong = values[(values < 0) | (values > 255)]
    if wrong.size:
        raise ValueError(
            f'{where}: expected numbers of 0..255, got {wrong.flat[0]} in an image of more than 8 '
            f'bits (mode {image.mode})'
        )
    return values.astype(np.uint8)


def _numbers_in_table(image: Image.Image, colours: Mapping[Colour, int], where: str) -> np.ndarray:
    """Return the (H, W) uint8 numbers of an image in the colours of a table."""
    packed = _pack(np.array(image.convert('RGB')))
    table = {int(_pack(np.array(colour))): number for colour, number in colours.items()}
    found, places = np.unique(packed, return_inverse=True)
    for code in found.tolist():
        if code not in table:
            raise ValueError(
                f'{where}: expected the colours {" ".join(map(str, colours))}, got '
                f'({code >> 16}, {code >> 8 & 255}, {code & 255})'
            )
    numbers = np.array([table[code] for code in found.tolist()], np.uint8)
    return numbers[places.reshape(packed.shape)]


def _pack(colours: np.ndarray) -> np.ndarray:
    """Pack (..., 3) colours into numbers of 24 bits."""
    red, green, blue = np.moveaxis(colours.astype(np.int64), -1, 0)
    return red << 16 | green << 8 | blue


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
            f"{where}: expected colours of VOC's palette, got ({red}, {green}, {blue}) (--labelmap "
            'of import_semantic_maps.py takes other colours)'
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
        return (
            "and some of its colours are not in VOC's palette: convert it with "
            f'{_CONVERTER} --labelmap, which takes a table of colours'
        )
    return f"in the colours of VOC's palette: convert it with {_CONVERTER} --from-palette"
