"""Helpers shared by the readers and writers of all formats.

They are about options, other shapes, image names and sizes, and classes.
"""

import contextlib
import dataclasses
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PureWindowsPath

from mmp2seg.converters.point_json import SourceImage
from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.files.image_folder import IMAGE_SUFFIXES, image_size, names_a_file
from mmp2seg.files.text_reading import printable

OTHER_SHAPES = ('error', 'skip', 'center')
# Label Studio's data_import/models.py puts a part of a uuid4 in front of the name of an upload
UPLOAD_PREFIX = re.compile('^[0-9a-f]{8}-')


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Check the value of an option.

    Raises:
        ValueError: ``value`` is not one of ``choices``.
    """
    if value not in choices:
        raise ValueError(f'expected {name} to be one of {choices}, got {value!r}')


@contextlib.contextmanager
def collected(lines: list[str], *, skip: bool) -> Iterator[None]:
    """Run a block that reads a part of a file, and let it fail on request.

    Args:
        lines: where the message of an error of the block goes.
        skip: False: leave the error alone.
    """
    try:
        yield
    except (ValueError, FileNotFoundError) as error:
        if not skip:
            raise
        lines.append(str(error))


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
    raise ValueError(
        f'{where}: expected a {" or ".join(wanted)}, got a {printable(kind):.60} ({advice})'
    )


def base_name(path: str) -> str:
    """Return the file name of a Unix or Windows path: '..\\\\images\\\\a.jpg' -> 'a.jpg'."""
    return path.replace('\\', '/').rsplit('/', 1)[-1]


def relative_name(file_name: str, *, where: str) -> str:
    """Normalize a path in the image folder: './a.jpg' and 'b/../a.jpg' become 'a.jpg'.

    Raises:
        ValueError: the path leaves the folder; the message begins with ``where``.
    """
    name = posixpath.normpath(file_name.replace('\\', '/'))
    if not names_a_file(name) or PureWindowsPath(name).drive:
        raise ValueError(f'{where}: expected a file in the image folder, got {file_name!r:.200}')
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
            f'{where}: expected the size of {printable(file_name)}, got none (--image-dir DIR '
            'reads it from the image)'
        )
    path = Path(image_dir) / file_name
    try:
        return image_size(path)
    except (FileNotFoundError, ValueError) as error:
        raise type(error)(printable(f'{where}: {error}')) from error


class ImageNames:
    """Find the images of a source in their folder, if their names differ a little from the source.

    A name may have backslashes, lack its suffix, or have the 8 hex digits and '-' that Label Studio
    puts in front of the names of uploaded files. A folder is listed once, and only for names that
    are no file. Names that start with a dot are no images.
    """

    def __init__(self, image_dir: str | Path) -> None:
        self._image_dir = Path(image_dir)
        self._found: dict[str, str] = {}
        self._folders: dict[str, dict[str, list[str]]] = {}

    def find(self, file_name: str, *, where: str) -> str:
        """Return the path of an image in the folder; if there is none, the name with '/'.

        Raises:
            ValueError: the path leaves the folder, or a name without suffix fits several images;
                the message begins with ``where``.
        """
        if file_name not in self._found:
            name = relative_name(file_name, where=where)
            self._found[file_name] = next(self._candidates(name, where), name)
        return self._found[file_name]

    def _candidates(self, name: str, where: str) -> Iterator[str]:
        folder, base = posixpath.split(name)
        bare = UPLOAD_PREFIX.sub('', base)
        for candidate in dict.fromkeys((base, bare)):
            path = posixpath.join(folder, candidate)
            if (self._image_dir / path).is_file():
                yield path
            if fitting := self._without_suffix(folder, candidate):
                if len(fitting) > 1:
                    raise ValueError(
                        f'{where}: expected the name of one image, got {path!r}, which fits '
                        f'{" and ".join(sorted(fitting))}'
                    )
                yield posixpath.join(folder, fitting[0])

    def _without_suffix(self, folder: str, stem: str) -> list[str]:
        if folder not in self._folders:
            by_stem: dict[str, list[str]] = {}
            root = self._image_dir / folder
            for path in root.iterdir() if root.is_dir() else ():
                if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith('.'):
                    by_stem.setdefault(path.stem, []).append(path.name)
            self._folders[folder] = by_stem
        return self._folders[folder].get(stem, [])


def locate_images(
    images: Iterable[SourceImage], *, image_dir: str | Path | None, skip_refused: bool = False
) -> list[SourceImage]:
    """Give images the names of their files, and compare the stated sizes with the files.

    An image whose height or width is None gets the size of its file. If ``image_dir`` is None,
    nothing else is changed. For the names see :class:`ImageNames`, for sizes :func:`check_sizes`.

    Args:
        images: images as read from a source.
        image_dir: their folder.
        skip_refused: an image that is missing or has another size gets the reason as ``missing``,
            instead of an error.

    Raises:
        FileNotFoundError, ValueError: see :func:`check_sizes` and :meth:`ImageNames.find`. Also for
            a size that is stated nowhere.
    """
    names = None if image_dir is None else ImageNames(image_dir)
    located = []
    for image in images:
        try:
            name = names.find(image.file_name, where=image.where) if names else image.file_name
            renamed = dataclasses.replace(image, file_name=name)
            if image.height is None or image.width is None:
                height, width = size_from_file(name, image_dir=image_dir, where=image.where)
                renamed = dataclasses.replace(renamed, height=height, width=width)
            else:
                check_sizes([renamed], image_dir=image_dir)
        except (FileNotFoundError, ValueError) as error:
            if not skip_refused:
                raise
            renamed = dataclasses.replace(image, missing=str(error))
        located.append(renamed)
    return located


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
