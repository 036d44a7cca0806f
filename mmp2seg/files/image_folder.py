"""Find the images and maps in a folder, and read image sizes."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath

from PIL import Image

from mmp2seg.files.text_reading import printable

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
# Of an image or a mask. It is Pillow's limit: a small file can hold far more, to fill the memory.
MAX_PIXELS = 178_956_970
_EXIF_ORIENTATION = 0x0112
_SHOWN_NAMES = 10
_LONGEST_NAME = 255  # bytes, of Linux, macOS and Windows


def image_names(folder: str | Path) -> list[str]:
    """Return the paths of the images of a folder and its subfolders, relative to it, sorted.

    Files and subfolders whose names start with a dot are ignored.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    files = _visible_files(Path(folder), '**/*', suffixes=IMAGE_SUFFIXES)
    return sorted(path.relative_to(folder).as_posix() for path in files)


def is_hidden(path: PurePath) -> bool:
    """Return whether a part of a relative path starts with a dot."""
    return any(part.startswith('.') for part in path.parts)


def find_images(folder: str | Path) -> dict[str, Path]:
    """Return the image files of a folder and its subfolders, sorted by name.

    Files and subfolders whose names start with a dot are ignored.

    Returns:
        dict: path relative to ``folder``, without suffix and with '/', -> the file.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no image, or two images whose names differ only in the suffix.
    """
    images = _find(Path(folder), '**/*', suffixes=IMAGE_SUFFIXES, kind='image')
    if not images:
        raise ValueError(f'{folder}: expected images ({" ".join(IMAGE_SUFFIXES)}), got none')
    return images


def find_png_maps(folder: str | Path, *, subfolders: bool = True) -> dict[str, Path]:
    """Return the PNG files of a folder, '.png' or '.PNG', sorted by name.

    Args:
        folder: folder of the maps; files and subfolders whose names start with a dot are
            ignored.
        subfolders: include the subfolders.

    Returns:
        dict: path relative to ``folder``, without suffix and with '/', -> the file.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it has no PNG, or two whose names differ only in the case of the suffix.
    """
    pattern = '**/*' if subfolders else '*'
    maps = _find(Path(folder), pattern, suffixes=('.png',), kind='map')
    if not maps:
        raise ValueError(f'{folder}: expected PNG maps, got none')
    return maps


def names_a_file(file_name: str | PurePath) -> bool:
    """Return whether a path that a file states can be that of a file in a folder.

    It is not if it is absolute or a URL, has '..', control characters, or a part that is longer
    than file systems take.
    """
    path = PurePath(file_name)
    try:
        longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    except UnicodeEncodeError:  # half of a character
        return False
    return not (
        path.is_absolute()
        or '..' in path.parts
        or not path.name
        or '://' in str(file_name)
        or any(unicodedata.category(character) == 'Cc' for character in str(file_name))
        or longest > _LONGEST_NAME
    )


def relative_stem(file_name: str | Path) -> str:
    """Return a path without suffix, ``'a/b.jpg'`` -> ``'a/b'``; it is equal for image and map.

    Raises:
        ValueError: the path is not that of a file in a folder, see :func:`names_a_file`.
    """
    if not names_a_file(file_name):
        raise ValueError(f'expected a file in the image folder, got {str(file_name)!r:.200}')
    return Path(file_name).with_suffix('').as_posix()


def image_size(path: str | Path) -> tuple[int, int]:
    """Return ``(H, W)`` of an image as mmcv loads it, after the EXIF rotation.

    Only the file header is read.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is not an image.
    """
    try:
        with Image.open(path) as image:
            width, height = image.size
            # Pillow rotates TIFF images itself, and OpenCV does not rotate WebP images. For a PNG
            # without EXIF data, `getexif` reads the whole file.
            orientation = 1
            if image.format == 'JPEG' or (image.format == 'PNG' and 'exif' in image.info):
                orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such file') from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f'{path}: expected an image file, {error}') from error
    return (width, height) if orientation in (5, 6, 7, 8) else (height, width)


def shorten_names(names: Sequence[str], *, shown: int = _SHOWN_NAMES) -> str:
    """Join the first ``shown`` names of a list, and append the number of remaining names.

    Characters that a terminal does not show are escaped.
    """
    more = len(names) - shown
    return printable(', '.join(names[:shown])) + (f' and {more} more' if more > 0 else '')


def _find(folder: Path, pattern: str, *, suffixes: Sequence[str], kind: str) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in _visible_files(folder, pattern, suffixes=suffixes):
        try:
            name = relative_stem(path.relative_to(folder))
        except ValueError as error:  # a name with control characters
            raise ValueError(f'{folder}: {error}') from error
        if name in files:
            raise ValueError(f'{path}: expected one {kind} of this name, got {files[name]} as well')
        files[name] = path
    return files


def _visible_files(folder: Path, pattern: str, *, suffixes: Sequence[str]) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder}: no such folder')
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() in suffixes and not is_hidden(path.relative_to(folder))
    )
