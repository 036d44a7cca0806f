"""Names and sizes of a source's images, held against the image files."""

from collections.abc import Iterable
from pathlib import Path

from mmp2seg.converters.point_json import SourceImage
from mmp2seg.files.image_folder import image_size


def base_name(path: str) -> str:
    """The file's name of a path of either system: '..\\\\images\\\\a.jpg' -> 'a.jpg'."""
    return path.replace('\\', '/').rsplit('/', 1)[-1]


def size_from_file(file_name: str, *, image_dir: str | Path | None, where: str) -> tuple[int, int]:
    """``(H, W)`` of an image whose size the source does not state.

    Raises:
        ValueError: ``image_dir`` is None; begins with ``where``.
        FileNotFoundError, ValueError: the file is missing or no image; names both.
    """
    if image_dir is None:
        raise ValueError(f'{where}: no size of {file_name} in the file, expected an image_dir')
    path = Path(image_dir) / file_name
    try:
        return image_size(path)
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f'{where}: {error}') from error


def check_sizes(images: Iterable[SourceImage], *, image_dir: str | Path | None) -> None:
    """Compare the sizes with those of the files, which are turned as their EXIF entry says.

    Nothing is checked where ``image_dir`` is None.

    Raises:
        FileNotFoundError: an image is missing; names the place in the source and the file.
        ValueError: a file is no image or has another size; names both.
    """
    if image_dir is None:
        return
    for image in images:
        height, width = size_from_file(image.file_name, image_dir=image_dir, where=image.where)
        if (height, width) != (image.height, image.width):
            raise ValueError(
                f'{image.where}: expected {image.width} x {image.height} pixels (width x height), '
                f'got {width} x {height} in {Path(image_dir) / image.file_name}'
            )
