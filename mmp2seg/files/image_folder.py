"""Which images and maps a folder holds, and how large they are."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
_EXIF_ORIENTATION = 0x0112
_SHOWN_NAMES = 10


def find_images(folder: str | Path) -> dict[str, Path]:
    """Image files of a folder and its subfolders, in the order of their names.

    Returns:
        dict: path relative to ``folder``, without suffix and with '/', -> the file.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no image, or two that differ in the suffix alone.
    """
    images = _find(Path(folder), '**/*', suffixes=IMAGE_SUFFIXES, kind='image')
    if not images:
        raise ValueError(f'{folder}: expected images ({" ".join(IMAGE_SUFFIXES)}), got none')
    return images


def find_png_maps(folder: str | Path, *, subfolders: bool = True) -> dict[str, Path]:
    """PNG files of a folder, '.png' and '.PNG' alike, in the order of their names.

    Args:
        folder: of the maps; files whose names begin with a dot are none.
        subfolders: take those of its subfolders as well.

    Returns:
        dict: path relative to ``folder``, without suffix and with '/', -> the file.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no PNG, or two that differ in the case of the suffix alone.
    """
    pattern = '**/*' if subfolders else '*'
    maps = _find(Path(folder), pattern, suffixes=('.png',), kind='map')
    if not maps:
        raise ValueError(f'{folder}: expected PNG maps, got none')
    return maps


def relative_stem(file_name: str | Path) -> str:
    """``'a/b.jpg'`` -> ``'a/b'``: what an image and its maps have in common."""
    return Path(file_name).with_suffix('').as_posix()


def image_size(path: str | Path) -> tuple[int, int]:
    """``(H, W)`` of an image as mmcv loads it: turned as its EXIF orientation says.

    Reads the head of the file only.

    Raises:
        FileNotFoundError: if it does not exist.
        ValueError: if it is no image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Pillow turns a TIFF itself, OpenCV does not turn a WebP; and `getexif` of a PNG
            # without any reads the whole file.
            orientation = 1
            if image.format == 'JPEG' or (image.format == 'PNG' and 'exif' in image.info):
                orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such file') from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f'{path}: expected an image file, {error}') from error
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def shorten_names(names: Sequence[str]) -> str:
    """The first names of a list, and how many there are beside them."""
    more = len(names) - _SHOWN_NAMES
    return ', '.join(names[:_SHOWN_NAMES]) + (f' and {more} more' if more > 0 else '')


def _find(folder: Path, pattern: str, *, suffixes: Sequence[str], kind: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder')
    files: dict[str, Path] = {}
    for path in sorted(folder.glob(pattern)):
        if path.suffix.lower() not in suffixes or path.name.startswith('.'):
            continue
        name = relative_stem(path.relative_to(folder))
        if name in files:
            raise ValueError(f'{path}: expected one {kind} of this name, got {files[name]} as well')
        files[name] = path
    return files
