"""Checks of the content of a COCO json, shared by its readers."""

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from mmp2seg.datasets.class_list import class_names
from mmp2seg.datasets.point_reading import read_background_points
from mmp2seg.files.image_folder import IMAGE_SUFFIXES, MAX_PIXELS, image_size
from mmp2seg.files.json_reading import is_integer, require_keys
from mmp2seg.ops.rle import first_broken

BACKGROUND = 'background'


def check_coco_content(
    path: str | Path,
    content: Mapping[str, list],
    *,
    image_keys: Sequence[str] = (),
    annotation_keys: Sequence[str] = (),
    integer_ids: bool = False,
) -> None:
    """Check that images, categories and annotations are complete and consistent.

    Images need an ``id`` and a ``file_name``, and categories an ``id`` and a ``name``; each must be
    unique. Annotations need a known ``image_id`` and ``category_id``. Their ``id`` must be unique
    if ``annotation_keys`` contains it. Sizes are positive integers, if ``image_keys`` contains
    them. The ``background_points`` of images, if there are any, are
    pairs of finite numbers. A file with background points has no category ``background``: in a
    table of points the two could not be told apart.

    Args:
        path: path of the file, for errors.
        content: the lists ``images``, ``categories`` and ``annotations`` of the file.
        image_keys: further keys that images need.
        annotation_keys: further keys that annotations need.
        integer_ids: ids must be integers. Otherwise they may be strings; those of
            categories, which are sorted, all or none.

    Raises:
        ValueError: a check fails; the message names the file, the place and the value.
    """
    images, annotations, categories = (
        content[part] for part in ('images', 'annotations', 'categories')
    )
    require_keys(path, 'images', images, ('id', 'file_name', *image_keys))
    if {'height', 'width'} <= set(image_keys):
        check_image_sizes(path, images)
    require_keys(path, 'categories', categories, ('id', 'name'))
    require_keys(path, 'annotations', annotations, ('image_id', 'category_id', *annotation_keys))
    id_types = (int,) if integer_ids else (int, str)
    for part, name in (('images', 'file_name'), ('categories', 'name')):
        _require_distinct(path, part, content[part], 'id', types=id_types)
        _require_distinct(path, part, content[part], name, types=(str,))
    check_file_names(path, images)
    _check_background_points(path, images, categories)
    for index, category in enumerate(categories):
        if type(category['id']) is not type(categories[0]['id']):  # they could not be sorted
            raise ValueError(
                f'{path}: categories[{index}]: expected an id like {categories[0]["id"]!r:.60} of '
                f'categories[0], got {category["id"]!r:.60}'
            )
    if 'id' in annotation_keys:
        _require_distinct(path, 'annotations', annotations, 'id', types=id_types)
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
        if not (isinstance(value, str) or is_integer(value)) or value not in known:
            where = annotation_place(path, index, annotation)
            raise ValueError(f'{where}: unknown {key} {value!r:.60}')


def annotation_place(path: str | Path, index: int, annotation: Mapping) -> str:
    """Return how errors refer to an annotation: by its id or, without id, its position from 0."""
    number = annotation.get('id')
    return f'{path}: ' + (f'annotations[{index}]' if number is None else f'annotation {number}')


def check_image_sizes(path: str | Path, images: Sequence[Mapping]) -> None:
    """Check that the sizes of images are positive integers, of no more pixels than can be read.

    Args:
        path: path of the file, for errors.
        images: entries with ``height`` and ``width``.

    Raises:
        ValueError: a size is not; the message names the file, the place and the value.
    """
    for index, image in enumerate(images):
        for key in ('height', 'width'):
            if not is_integer(image[key]) or image[key] <= 0:
                raise ValueError(
                    f'{path}: images[{index}]: expected {key} to be an integer > 0, '
                    f'got {image[key]!r:.60}'
                )
        if image['height'] * image['width'] > MAX_PIXELS:
            raise ValueError(
                f'{path}: images[{index}]: expected at most {MAX_PIXELS} pixels, '
                f'got {image["width"]} x {image["height"]}'
            )


def check_file_names(path: str | Path, images: Sequence[Mapping]) -> None:
    """Check that the ``file_name`` of images can be the name of a file.

    Raises:
        ValueError: one cannot; the message names the file, the place and the value.
    """
    for index, image in enumerate(images):
        name = image['file_name']
        if not isinstance(name, str) or '\0' in name:  # functions of files would not name it
            raise ValueError(
                f'{path}: images[{index}]: expected the name of a file, got {name!r:.60}'
            )


def check_image_files(path: str | Path, images: Iterable[Mapping], folder: str | Path) -> None:
    """Compare the sizes of images, after the EXIF rotation, with the file; only headers are read.

    Args:
        path: path of the file, for errors.
        images: entries with ``file_name`` and, unless their sizes are not stated, with ``height``
            and ``width``.
        folder: folder of the images.

    Raises:
        FileNotFoundError: an image is missing.
        ValueError: it is none, or has another size; the message names the image and ``path``.
    """
    for image in images:
        stated = image.get('height'), image.get('width')
        name = Path(folder, image['file_name'])
        if None in stated or name.suffix.lower() not in IMAGE_SUFFIXES:
            continue
        height, width = image_size(name)
        if (height, width) != stated:
            advice = ''
            if (width, height) == stated:
                advice = ': the image has an EXIF rotation that the maker of the file ignored'
            raise ValueError(
                f'{name}: expected {stated[1]} x {stated[0]} pixels (width x height) as in {path}, '
                f'got {width} x {height}{advice}'
            )


def check_segmentations(
    path: str | Path, images: Iterable[Mapping], annotations: Sequence[Mapping]
) -> None:
    """Check that the masks of annotations can be decoded; none is.

    An annotation without ``segmentation`` passes, and one with polygons of fewer than three
    corners.

    Args:
        path: path of the file, for errors.
        images: entries with ``id``, ``file_name``, ``height`` and ``width``.
        annotations: entries with ``image_id``, whose image is listed.

    Raises:
        ValueError: a mask has another size than its image, runs that do not fill it, or something
            else that is no mask; the message names the file, image, annotation and value.
    """
    image_of = {image['id']: image for image in images}
    found = [(i, ann) for i, ann in enumerate(annotations) if ann.get('segmentation')]
    images_of_found = [image_of[ann['image_id']] for _, ann in found]
    broken = first_broken(
        [ann['segmentation'] for _, ann in found],
        [(image['height'], image['width']) for image in images_of_found],
    )
    if broken is not None:
        image = images_of_found[broken[0]]
        where = f'{path}: image {image["id"]} ({image["file_name"]})'
        raise ValueError(f'{annotation_place(where, *found[broken[0]])}: {broken[1]}')


def split_categories(content: Mapping[str, Sequence]) -> tuple[list[Mapping], list[str]]:
    """Return the categories of a COCO json, without empty parents, and a line for each parent.

    Roboflow writes the name of the project as a category, which is the ``supercategory`` of the
    others and has no annotation. Taken for a class, it would shift the values of all others.

    Args:
        content: the lists ``categories``, of checked entries, and ``annotations``.
    """
    categories = content['categories']
    used = [annotation['category_id'] for annotation in content['annotations']]
    used_ids = {number for number in used if isinstance(number, int | str)}
    kept, lines = [], []
    for category in categories:
        name = category['name']
        is_parent = any(
            other.get('supercategory') == name and other is not category for other in categories
        )
        if is_parent and category['id'] not in used_ids:
            lines.append(
                f'category {name!r} is no class: it has no annotation and is the supercategory of '
                'others'
            )
        else:
            kept.append(category)
    return kept, lines


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
    names = ordered_class_names(categories) if classes is None else class_names(classes)
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
        is_known = is_integer(value) if isinstance(value, int) else isinstance(value, str)
        if not is_known or not isinstance(value, types):
            expected = ' or '.join(kind.__name__ for kind in types)
            raise ValueError(f'{where}: expected {key} to be {expected}, got {value!r:.60}')
        first = place_of.setdefault(value, index)
        if first != index:
            raise ValueError(f'{where}: {key} {value!r:.60} duplicates {part}[{first}]')
