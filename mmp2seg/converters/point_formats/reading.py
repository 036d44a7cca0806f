"""Helpers shared by the readers and writers of all formats.

They are about options, other shapes, image names and sizes, and classes.
"""

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath

from mmp2seg.converters.point_json import SourceImage
from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.files.image_folder import image_size

OTHER_SHAPES = ('error', 'skip', 'center')


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Check the value of an option.

    Raises:
        ValueError: ``value`` is not one of ``choices``.
    """
    if value not in choices:
        raise ValueError(f'expected {name} to be one of {choices}, got {value!r}')


def takes_center(
    kind: str,
    *,
    centered: tuple[str, ...],
    other_shapes: str,
    where: str,
    point: str = 'point',
) -> bool:
    """Return whether to use the centre of a shape as a point (True) or skip the shape (False).

    Args:
        kind: type of the shape in the source.
        centered: types of shapes whose centre is always inside; polygons are not among them.
        other_shapes: one of :data:`OTHER_SHAPES`.
        where: file and place of the shape, for errors.
        point: name of the point type in the source.

    Raises:
        ValueError: ``other_shapes`` is 'error', or it is 'center' and ``kind`` is not in
            ``centered``.
    """
    if other_shapes == 'skip':
        return False
    if other_shapes == 'center' and kind in centered:
        return True
    wanted = [point, *centered] if other_shapes == 'center' else [point]
    advice = '--other-shapes skip leaves it out'
    if kind in centered:
        advice += ', --other-shapes center takes its centre'
    raise ValueError(f'{where}: expected a {" or ".join(wanted)}, got a {kind} ({advice})')


def base_name(path: str) -> str:
    """Return the file name of a Unix or Windows path: '..\\\\images\\\\a.jpg' -> 'a.jpg'."""
    return path.replace('\\', '/').rsplit('/', 1)[-1]


def relative_name(file_name: str, *, where: str) -> str:
    """Normalize a path in the image folder: './a.jpg' and 'b/../a.jpg' become 'a.jpg'.

    Raises:
        ValueError: the path leaves the folder; the message begins with ``where``.
    """
    name = posixpath.normpath(file_name.replace('\\', '/'))
    if name.split('/')[0] in ('', '.', '..') or PureWindowsPath(name).drive:
        raise ValueError(f'{where}: expected a file in the image folder, got {file_name!r}')
    return name


def written_classes(images: Iterable[SourceImage], classes: Sequence[str] | None) -> list[str]:
    """Return the class names to list in a file.

    Args:
        images: the images with their points.
        classes: names of the K classes; None = the sorted classes of the points.

    Returns:
        list: the classes, and ``background`` after them if there are background clicks.
    """
    images = list(images)
    if classes is None:
        classes = sorted({point.label for image in images for point in image.points})
    has_clicks = any(image.background_points for image in images)
    return [*classes, *([BACKGROUND] if has_clicks and BACKGROUND not in classes else [])]


def size_from_file(file_name: str, *, image_dir: str | Path | None, where: str) -> tuple[int, int]:
    """Return ``(H, W)`` of an image file, for sources that do not state the size.

    Raises:
        ValueError: ``image_dir`` is None; the message begins with ``where``.
        FileNotFoundError, ValueError: the file is missing or not an image; the message begins with
            ``where`` and names the file.
    """
    if image_dir is None:
        raise ValueError(
            f'{where}: expected the size of {file_name}, got none (--image-dir DIR reads it from '
            'the image)'
        )
    path = Path(image_dir) / file_name
    try:
        return image_size(path)
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(f'{where}: {error}') from error


def check_sizes(images: Iterable[SourceImage], *, image_dir: str | Path | None) -> None:
    """Compare the stated sizes with the sizes of the image files after EXIF rotation.

    If ``image_dir`` is None, nothing is checked.

    Raises:
        FileNotFoundError: an image is missing; the message names the place in the source and the
            file.
        ValueError: a file is not an image or has another size; the message names both.
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
