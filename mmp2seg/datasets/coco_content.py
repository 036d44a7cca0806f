"""Checks of the content of a COCO json, shared by its readers."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from mmp2seg.datasets.point_reading import read_background_points
from mmp2seg.files.json_reading import require_keys

BACKGROUND = 'background'


def check_coco_content(
    path: str | Path,
    content: Mapping[str, list],
    *,
    image_keys: Sequence[str] = (),
    annotation_keys: Sequence[str] = (),
) -> None:
    """Check that images, categories and annotations are complete and consistent.

    Images need an ``id`` and a ``file_name``, and categories an ``id`` and a ``name``; each must be
    unique. Annotations need a known ``image_id`` and ``category_id``. Their ``id`` must be unique
    if ``annotation_keys`` contains it. The ``background_points`` of images, if there are any, are
    pairs of finite numbers. A file with background points has no category ``background``: in a
    table of points the two could not be told apart.

    Args:
        path: path of the file, for errors.
        content: the lists ``images``, ``categories`` and ``annotations`` of the file.
        image_keys: further keys that images need.
        annotation_keys: further keys that annotations need.

    Raises:
        ValueError: a check fails; the message names the file, the place and the value.
    """
    images, annotations, categories = (
        content[part] for part in ('images', 'annotations', 'categories')
    )
    require_keys(path, 'images', images, ('id', 'file_name', *image_keys))
    require_keys(path, 'categories', categories, ('id', 'name'))
    require_keys(path, 'annotations', annotations, ('image_id', 'category_id', *annotation_keys))
    for part, name in (('images', 'file_name'), ('categories', 'name')):
        _require_distinct(path, part, content[part], 'id', types=(int, str))
        _require_distinct(path, part, content[part], name, types=(str,))
    _check_background_points(path, images, categories)
    if 'id' in annotation_keys:
        _require_distinct(path, 'annotations', annotations, 'id', types=(int, str))
    known_images = {image['id'] for image in images}
    known_categories = {category['id'] for category in categories}
    for index, annotation in enumerate(annotations):
        check_references(
            path, index, annotation, known_images=known_images, known_categories=known_categories
        )


def check_references(
    path: str | Path,
    index: int,
    annotation: Mapping,
    *,
    known_images: Container,
    known_categories: Container,
) -> None:
    """Check that an annotation is of a known image and a known category.

    Args:
        path: path of the file, for errors.
        index: position of the annotation in its list, from 0.
        annotation: with ``image_id`` and ``category_id``.
        known_images: ids of the images.
        known_categories: ids of the categories.

    Raises:
        ValueError: it is not; the message names the file, the annotation and the value.
    """
    for key, known in (('image_id', known_images), ('category_id', known_categories)):
        value = annotation[key]
        if not isinstance(value, int | str) or value not in known:
            where = annotation_place(path, index, annotation)
            raise ValueError(f'{where}: unknown {key} {value!r}')


def annotation_place(path: str | Path, index: int, annotation: Mapping) -> str:
    """Return how errors refer to an annotation: by its id or, without id, its position from 0."""
    number = annotation.get('id')
    return f'{path}: ' + (f'annotations[{index}]' if number is None else f'annotation {number}')


def check_image_sizes(path: str | Path, images: Sequence[Mapping]) -> None:
    """Check that the sizes of images are positive integers.

    Args:
        path: path of the file, for errors.
        images: entries with ``height`` and ``width``.

    Raises:
        ValueError: a size is not; the message names the file, the place and the value.
    """
    for index, image in enumerate(images):
        for key in ('height', 'width'):
            if not isinstance(image[key], int) or image[key] <= 0:
                raise ValueError(
                    f'{path}: images[{index}]: expected {key} to be an integer > 0, '
                    f'got {image[key]!r:.60}'
                )


def ordered_class_names(categories: Sequence[Mapping]) -> list[str]:
    """Return the category names in the order of their ids; class k is entry k."""
    return [entry['name'] for entry in sorted(categories, key=lambda entry: entry['id'])]


def category_labels(
    path: str | Path, categories: Sequence[Mapping], *, classes: Sequence[str] | None = None
) -> dict[int, int]:
    """Map each category id to a class 0..K-1.

    Ids can have gaps: those of COCO's 80 thing classes are between 1 and 90.

    Args:
        path: path of the file, for errors.
        categories: categories of the file; names and ids are unique.
        classes: names of the K classes, in order; the result does not contain other categories.
            None: all categories, in the order of their ids.

    Raises:
        ValueError: a class has no category of its name.
    """
    id_of_name = {entry['name']: entry['id'] for entry in categories}
    names = ordered_class_names(categories) if classes is None else classes
    missing = [name for name in names if name not in id_of_name]
    if missing:
        raise ValueError(
            f'{path}: expected a category named {missing[0]!r}, got {sorted(id_of_name)}'
        )
    return {id_of_name[name]: label for label, name in enumerate(names)}


def _check_background_points(
    path: str | Path, images: Sequence[Mapping], categories: Sequence[Mapping]
) -> None:
    has_class = any(category['name'] == BACKGROUND for category in categories)
    for index, image in enumerate(images):
        where = f'{path}: images[{index}]'
        if read_background_points(image, where=where) and has_class:
            raise ValueError(
                f'{where}: expected no background_points in a file with a category {BACKGROUND!r}, '
                f'got {len(image["background_points"])}'
            )


def _require_distinct(
    path: str | Path, part: str, entries: Sequence[Mapping], key: str, *, types: tuple[type, ...]
) -> None:
    place_of: dict = {}
    for index, entry in enumerate(entries):
        where, value = f'{path}: {part}[{index}]', entry[key]
        if not isinstance(value, types):
            expected = ' or '.join(kind.__name__ for kind in types)
            raise ValueError(f'{where}: expected {key} to be {expected}, got {value!r:.60}')
        first = place_of.setdefault(value, index)
        if first != index:
            raise ValueError(f'{where}: {key} {value!r} duplicates {part}[{first}]')
