"""Read and write points in LabelMe's format: a folder with one json per image.

The format is defined in https://github.com/wkentaro/labelme (labelme/label_file.py and
examples/primitives/primitives.json). A json has ``imagePath``, relative to the json,
``imageHeight``, ``imageWidth`` and ``shapes`` with ``label``, ``points`` and ``shape_type``
(polygon if missing). A rectangle has two corners, a circle its centre and a point on it. LabelMe
applies the EXIF rotation. Coordinates are continuous canvas coordinates. X-AnyLabeling writes the
same format, with four corners of a rectangle and of a ``rotation``, a rotated one
(https://github.com/CVHub520/X-AnyLabeling, docs/en/user_guide.md).
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from mmp2seg.converters.point_formats.reading import (
    OTHER_SHAPES,
    base_name,
    check_choice,
    collected,
    locate_images,
    takes_center,
)
from mmp2seg.converters.point_json import SourceImage, SourcePoint
from mmp2seg.datasets.point_reading import number_pair
from mmp2seg.files.folders import complete_folder
from mmp2seg.files.image_folder import is_hidden
from mmp2seg.files.json_reading import read_json_object, require_keys

# numbers of points of the shapes whose centre is inside
_CORNERS = {'rectangle': (2, 4), 'rotation': (4,), 'circle': (2,)}


def read(
    path: str | Path,
    *,
    image_dir: str | Path | None = None,
    other_shapes: str = 'error',
    skip_refused: bool = False,
) -> list[SourceImage]:
    """Read all jsons in a folder and its subfolders, in the order of their paths.

    Jsons and subfolders whose names start with a dot are ignored.

    Args:
        path: the folder; links in it to other folders are not followed.
        image_dir: folder of the images; if given, their sizes are checked, and sizes that a json
            does not state are read from them.
        other_shapes: what to do with shapes that are not points: 'error', 'skip', or 'center' (take
            the centre of rectangles and circles).
        skip_refused: leave out what cannot be placed, and report it, instead of raising an error.

    Returns:
        list: one image per json. The image's name is its path in ``image_dir`` if ``imagePath``
        points to a file there. Otherwise it is the subfolder of the json with the image's file
        name.

    Raises:
        FileNotFoundError: there is no such folder, or an image is missing in ``image_dir``.
        ValueError: the folder has no json, or a json is malformed; the message names file and
            place.
    """
    check_choice('other_shapes', other_shapes, OTHER_SHAPES)
    if not Path(path).is_dir():
        raise FileNotFoundError(f'{path}: there is no such folder')
    files = json_files(path)
    if not files:
        raise ValueError(f'{path}: expected a folder with a json per image, got none')
    images = [
        _read_image(
            file,
            root=Path(path),
            image_dir=image_dir,
            other_shapes=other_shapes,
            skip_refused=skip_refused,
        )
        for file in files
    ]
    return locate_images(images, image_dir=image_dir, skip_refused=skip_refused)


def write(
    images: Sequence[SourceImage],
    path: str | Path,
    *,
    image_dir: str | Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write a folder of jsons that LabelMe can open; write coordinates with all digits.

    Args:
        images: the images with their points. :func:`read` restores the folders in their names only
            if ``image_dir`` is given to both functions.
        path: the folder to write; it is written atomically.
        image_dir: folder of the images, used for ``imagePath``; None = the images are beside the
            jsons.
        overwrite: replace a folder that is not empty.

    Raises:
        FileExistsError: the folder is not empty and ``overwrite`` is False.
        ValueError: two images would share a json or a name, or ``image_dir`` is in ``path``.
    """
    _check_names(images)
    inputs = [] if image_dir is None else [image_dir]
    with complete_folder(path, overwrite=overwrite, inputs=inputs) as folder:
        for image in images:
            image_path = image.file_name
            if image_dir is not None:
                image_path = Path(os.path.relpath(Path(image_dir) / image_path, path)).as_posix()
            name = Path(base_name(image.file_name)).with_suffix('.json')
            text = json.dumps(_content(image, image_path), indent=2, allow_nan=False)
            (folder / name).write_text(text, encoding='utf-8')


def json_files(folder: str | Path) -> list[Path]:
    """Return the jsons that :func:`read` reads, sorted."""
    return sorted(
        file
        for file in Path(folder).rglob('*.json')
        if not file.is_dir() and not is_hidden(file.relative_to(folder))
    )


def _read_image(
    file: Path,
    *,
    root: Path,
    image_dir: str | Path | None,
    other_shapes: str,
    skip_refused: bool,
) -> SourceImage:
    content = read_json_object(file, lists=('shapes',))
    shapes = content['shapes']
    require_keys(file, 'shapes', shapes, ('label', 'points'))
    image_path = content.get('imagePath')
    if not isinstance(image_path, str) or not base_name(image_path):
        raise ValueError(f'{file}: expected an imagePath, got {image_path!r:.60}')
    file_name = _file_name(file, image_path, root=root, image_dir=image_dir)
    height, width = content.get('imageHeight'), content.get('imageWidth')
    points: list[SourcePoint] = []
    left_out: list[str] = []
    for index, shape in enumerate(shapes):
        where = f'{file}: shapes[{index}]'
        kind = shape.get('shape_type') or 'polygon'
        if not isinstance(kind, str):
            raise ValueError(f'{where}: expected a shape_type, got {kind!r:.60}')
        with collected(left_out, skip=skip_refused):
            if kind != 'point' and not takes_center(
                kind, centered=tuple(_CORNERS), other_shapes=other_shapes, where=where
            ):
                left_out.append(f'{where}: a {kind}')
                continue
            x, y = _place(kind, shape['points'], where=where)
            points.append(SourcePoint(x, y, _label(shape['label'], where=where), where))
    return SourceImage(file_name, height, width, points, str(file), left_out)


def _file_name(file: Path, image_path: str, *, root: Path, image_dir: str | Path | None) -> str:
    """Return the path of a json's image, relative to ``image_dir``."""
    image = file.parent / image_path.replace('\\', '/')
    if image_dir is not None and image.is_file():
        folder, image_root = image.parent.resolve(), Path(image_dir).resolve()
        if folder.is_relative_to(image_root):
            return (folder.relative_to(image_root) / image.name).as_posix()
    return (file.parent.relative_to(root) / base_name(image_path)).as_posix()


def _place(kind: str, corners: object, *, where: str) -> tuple[float, float]:
    """Return the coordinates of a point, or the centre of a rectangle or a circle."""
    counts = _CORNERS.get(kind, (1,))
    if not isinstance(corners, list) or len(corners) not in counts:
        raise ValueError(
            f'{where}: expected points of {" or ".join(map(str, counts))} [x, y], got '
            f'{corners!r:.60}'
        )
    pairs = [number_pair(corner, where=where) for corner in corners]
    if kind in ('rectangle', 'rotation'):
        # the means of two or four corners; the sum of a nan or of an infinity is one
        x, y = (sum(values) / len(pairs) for values in zip(*pairs, strict=True))
        return x, y
    return pairs[0]


def _label(label: object, *, where: str) -> str:
    if not isinstance(label, str) or not label:
        raise ValueError(f'{where}: expected a label, got {label!r:.60}')
    return label


def _check_names(images: Sequence[SourceImage]) -> None:
    known: dict[str, str] = {}
    for image in images:
        stem = Path(base_name(image.file_name)).stem
        if stem in known:
            raise ValueError(
                f'expected images of different names, got {known[stem]} and {image.file_name}, '
                f'which share {stem}.json'
            )
        known[stem] = image.file_name


def _content(image: SourceImage, image_path: str) -> dict:
    shapes = [
        dict(
            label=point.label,
            points=[[point.x, point.y]],
            group_id=None,
            description='',
            shape_type='point',
            flags={},
            mask=None,
        )
        for point in image.all_points
    ]
    return dict(
        version='5.5.0',  # version of the file layout
        flags={},
        shapes=shapes,
        imagePath=image_path,
        imageData=None,
        imageHeight=image.height,
        imageWidth=image.width,
    )
