"""The points of the images of a folder, and the point json that they are saved in.

The file is the point json of :mod:`mmp2seg.converters.point_json`. What this module does not edit
stays in it: other keys, images outside of the folder, crowds. It lists the images that have points,
and those that were marked as empty.
"""

import dataclasses
import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmp2seg.converters.point_formats.reading import relative_name
from mmp2seg.converters.point_json import (
    SourceImage,
    SourcePoint,
    assemble_point_json,
    parse_point_json,
)
from mmp2seg.datasets.coco_content import (
    BACKGROUND,
    check_coco_content,
    check_image_sizes,
    ordered_class_names,
)
from mmp2seg.datasets.point_reading import read_annotation_point, read_background_points
from mmp2seg.files.atomic_write import write_text
from mmp2seg.files.json_reading import is_finite_number, read_json_object
from mmp2seg.ops.image_edge import onto_last_pixel

_LISTS = ('images', 'categories', 'annotations')
_ID = int | str


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """A point of an image, or a background click.

    Attributes:
        x: continuous coordinate in the image's frame; the centre of a pixel is at .5.
        y: coordinate like ``x``.
        label: name of its class, or ``background``.
        point_id: id of the annotation. None: it is new, or a background click.
    """

    x: float
    y: float
    label: str
    point_id: _ID | None = None


@dataclasses.dataclass(frozen=True)
class ImagePoints:
    """The points of an image.

    Attributes:
        points: in the order of the file, background clicks last.
        is_empty: the image was marked as one without objects; then it has no point.
    """

    points: tuple[Point, ...] = ()
    is_empty: bool = False

    @property
    def revision(self) -> str:
        """Digest of the content; it is also the same after the command was started again."""
        values = [[p.x, p.y, p.label, p.point_id] for p in self.points]
        text = json.dumps([self.is_empty, values])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class StaleRevisionError(Exception):
    """The points of an image changed since a client read them.

    Attributes:
        current: the points as they are now.
    """

    def __init__(self, message: str, current: ImagePoints) -> None:
        super().__init__(message)
        self.current = current


class FileChangedError(Exception):
    """Another program changed the points file; the message names it."""


class PointStore:
    """Read a points file, change the points of one image at a time, and save each change.

    All methods can be called from several threads.

    Args:
        path: the point json; it need not exist, and it is written at the first change.
        names: paths of the images, relative to their folder.
        classes: names of the classes, without ``background``. None: those of the file. Classes
            after those of the file are added to it.

    Raises:
        ValueError: the file is no point json or has points that cannot be used, its classes differ,
            or there are no classes; the message names the file and the place.
    """

    def __init__(
        self, path: str | Path, names: Iterable[str], classes: Sequence[str] | None
    ) -> None:
        self.path = Path(path)
        self.names = tuple(names)
        self._lock = threading.RLock()
        content: dict[str, Any] = dict(info=dict(description='points'))
        content |= {key: [] for key in _LISTS}
        if self.path.exists():
            content = _read(self.path)
        elif classes is None:
            raise ValueError(f'{path}: no such file: expected the names of the classes, --classes')
        if classes is not None and BACKGROUND in classes:
            raise ValueError(
                f'expected classes without {BACKGROUND!r}, which is always there, got '
                f'{list(classes)}'
            )
        self._stamp = _stamp(self.path)
        self._categories = _categories(self.path, content['categories'], classes)
        self._category_ids: dict[str, _ID] = {c['name']: c['id'] for c in self._categories}
        names_by_id = {number: name for name, number in self._category_ids.items()}
        # the other keys of the file stay where they are
        self._content: dict[str, Any] = content
        self._entries: dict[str, dict] = {
            _name(self.path, index, entry): entry for index, entry in enumerate(content['images'])
        }
        if len(self._entries) < len(content['images']):
            raise ValueError(f'{path}: expected each image once, got one by two names')
        self._listed = dict.fromkeys(self._entries)  # a dict keeps the order
        self._annotations: dict[str, list[dict]] = {name: [] for name in self._entries}
        name_of = {entry['id']: name for name, entry in self._entries.items()}
        for annotation in content['annotations']:
            self._annotations[name_of[annotation['image_id']]].append(annotation)
        # annotations by id, as read and as last saved, also of deleted points: undo needs them
        self._read = {annotation['id']: annotation for annotation in content['annotations']}
        self._known = dict(self._read)
        self._next_point_id = _next_id(self._known)
        self._next_image_id = _next_id(name_of)
        self._labels = names_by_id
        self._points: dict[str, ImagePoints] = {}  # of images that were asked for
        self._texts = {name: self._text(name) for name in self._listed}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids, without ``background``."""
        return tuple(self._category_ids)

    def points(self, name: str) -> ImagePoints:
        """Return the points of an image; an image that is not in the file has none."""
        with self._lock:
            if name not in self._points:
                known = name in self._entries
                self._points[name] = self._read_points(name) if known else ImagePoints()
            return self._points[name]

    def size(self, name: str) -> tuple[int, int] | None:
        """Return ``(H, W)`` of an image as the file states it, None without an entry."""
        with self._lock:
            entry = self._entries.get(name)
            return None if entry is None else (entry['height'], entry['width'])

    def counts(self) -> list[int]:
        """Return the number of points of each image of the folder; -1: it is marked as empty."""
        with self._lock:
            return [self._count(name) for name in self.names]

    def save(
        self,
        name: str,
        points: Sequence[Point],
        *,
        size: tuple[int, int],
        revision: str,
        is_empty: bool = False,
    ) -> ImagePoints:
        """Replace the points of an image, and write the file.

        A point with the id of an annotation of this image keeps the other keys of the annotation
        while it is at the same place and of the same class. Other points get a new id.

        Args:
            name: one of ``names``.
            points: all points of the image.
            size: ``(H, W)`` of the image.
            revision: revision of the points that were changed.
            is_empty: mark the image as one without objects; it has no points then.

        Returns:
            ImagePoints: the saved points.

        Raises:
            StaleRevisionError: the points have another revision by now; nothing is saved.
            FileChangedError: another program wrote the file; nothing is saved.
            ValueError: a point cannot be used, see :func:`assemble_point_json`, or the file states
                another size; nothing is saved.
            OSError: the file cannot be written; nothing is saved.
        """
        with self._lock:
            if revision != self.points(name).revision:
                raise StaleRevisionError(
                    f'{name}: the points were changed in another tab or window', self.points(name)
                )
            if self.size(name) not in (None, size):
                height, width = self._entries[name]['height'], self._entries[name]['width']
                raise ValueError(
                    f'{self.path}: expected {width} x {height} pixels in {name}, got '
                    f'{size[1]} x {size[0]}'
                )
            if is_empty and points:
                raise ValueError(f'{name}: expected no points in an empty image')
            points = [_off_the_edge(point, size) for point in points]
            self._check(name, points, size)
            before = self._remember(name)
            try:
                self._replace(name, points, size, is_empty)
                self._write()
            except BaseException:
                self._restore(name, before)
                raise
            return self.points(name)

    def _check(self, name: str, points: Sequence[Point], size: tuple[int, int]) -> None:
        sources = [SourcePoint(p.x, p.y, p.label, name) for p in points]
        image = SourceImage(name, *size, sources, name)
        _, report = assemble_point_json(
            [image], classes=self.classes, skip_refused=True, allow_empty=True
        )
        if report.refused:
            raise ValueError(report.refused[0])

    def _replace(
        self, name: str, points: Sequence[Point], size: tuple[int, int], is_empty: bool
    ) -> None:
        entry = dict(self._entries.get(name) or self._new_entry(name, size))
        clicks = [[p.x, p.y] for p in points if p.label == BACKGROUND]
        entry.pop('background_points', None)
        if clicks:
            entry['background_points'] = clicks
        annotations = [a for a in self._annotations.get(name, ()) if a.get('iscrowd', 0)]
        used: set[_ID] = {annotation['id'] for annotation in annotations}
        for point in points:
            if point.label == BACKGROUND:
                continue
            annotation = self._annotation(point, entry['id'], used)
            used.add(annotation['id'])
            self._known[annotation['id']] = annotation
            annotations.append(annotation)
        objects = [a for a in annotations if not a.get('iscrowd', 0)]
        if any(a.get('supervision') != 'mask' for a in objects):
            entry.pop('supervision', None)  # not all objects of the image have true masks any more
        self._entries[name], self._annotations[name] = entry, annotations
        if points or annotations or is_empty:
            self._listed[name] = None
        else:
            self._listed.pop(name, None)
        self._points[name] = self._read_points(name)
        self._texts.pop(name, None)
        if name in self._listed:
            self._texts[name] = self._text(name)

    def _annotation(self, point: Point, image_id: _ID, used: set[_ID]) -> dict:
        """Return the annotation of a point: a known one, with its other keys, or a new one."""
        category_id, place = self._category_ids[point.label], [float(point.x), float(point.y)]
        known = self._known.get(point.point_id) if point.point_id is not None else None
        if known is None or known['image_id'] != image_id or known['id'] in used:
            number = self._next_point_id
            self._next_point_id += 1
            return dict(id=number, image_id=image_id, category_id=category_id, point=place)
        for old in (known, self._read.get(known['id'], known)):
            if old['category_id'] == category_id and old['point'] == place:
                return old
        # its mask, box or score belongs to the old place
        return dict(id=known['id'], image_id=image_id, category_id=category_id, point=place)

    def _new_entry(self, name: str, size: tuple[int, int]) -> dict:
        number = self._next_image_id
        self._next_image_id += 1
        return dict(id=number, file_name=name, height=size[0], width=size[1])

    def _read_points(self, name: str) -> ImagePoints:
        points = [
            Point(
                *read_annotation_point(annotation, point_source='point', where=name),
                self._labels[annotation['category_id']],
                annotation['id'],
            )
            for annotation in self._annotations[name]
            if not annotation.get('iscrowd', 0)
        ]
        entry = self._entries[name]
        points += [Point(x, y, BACKGROUND) for x, y in read_background_points(entry, where=name)]
        has_crowds = len(self._annotations[name]) > 0
        is_empty = name in self._listed and not points and not has_crowds
        return ImagePoints(tuple(points), is_empty)

    def _count(self, name: str) -> int:
        if name not in self._listed:
            return 0
        annotations = self._annotations[name]
        objects = sum(not annotation.get('iscrowd', 0) for annotation in annotations)
        clicks = len(self._entries[name].get('background_points', ()))
        return objects + clicks if annotations or clicks else -1

    def _remember(self, name: str) -> tuple[list, dict[str, None]]:
        """Return what :meth:`_replace` changes."""
        return [values.get(name) for values in self._by_name()], dict(self._listed)

    def _restore(self, name: str, before: tuple[list, dict[str, None]]) -> None:
        values_before, self._listed = before
        for values, value in zip(self._by_name(), values_before, strict=True):
            if value is None:
                values.pop(name, None)
            else:
                values[name] = value

    def _by_name(self) -> tuple[dict[str, Any], ...]:
        return self._entries, self._annotations, self._points, self._texts

    def _text(self, name: str) -> tuple[str, str]:
        """Return the json texts of an image and of its annotations.

        They are kept, so that a change of one image of ten thousand is written in milliseconds.
        """
        annotations = json.dumps(self._annotations[name], allow_nan=False)
        return json.dumps(self._entries[name], allow_nan=False), annotations[1:-1]

    def _write(self) -> None:
        if _stamp(self.path) != self._stamp:
            raise FileChangedError(
                f'{self.path}: another program changed this file, so nothing is saved; start the '
                'command again to go on with it'
            )
        parts = dict.fromkeys(self._content, '')
        for key, value in self._content.items():
            if key not in _LISTS:
                parts[key] = json.dumps(value, allow_nan=False)
        texts = [self._texts[name] for name in self._listed]
        parts['images'] = f'[{", ".join(image for image, _ in texts)}]'
        parts['categories'] = json.dumps(self._categories)
        parts['annotations'] = f'[{", ".join(part for _, part in texts if part)}]'
        lines = ',\n'.join(f'{json.dumps(key)}: {text}' for key, text in parts.items())
        write_text(self.path, f'{{{lines}}}\n')
        self._stamp = _stamp(self.path)


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a point json, with an id for each annotation."""
    content = read_json_object(path, lists=_LISTS)
    annotations = content['annotations']
    if any(isinstance(annotation, dict) and 'id' in annotation for annotation in annotations):
        check_coco_content(path, content, annotation_keys=('id',))
    images, names = parse_point_json(path, content)
    check_image_sizes(path, content['images'])
    assemble_point_json(images, classes=names, allow_empty=True)
    for number, annotation in enumerate(annotations, start=1):
        annotation.setdefault('id', number)
    if BACKGROUND in names:
        raise ValueError(
            f'{path}: expected categories without {BACKGROUND!r}: the page saves background clicks '
            'as background_points'
        )
    return content


def _off_the_edge(point: Point, size: tuple[int, int]) -> Point:
    ((x, y),) = onto_last_pixel([[point.x, point.y]], *size).tolist()
    return dataclasses.replace(point, x=x, y=y)


def _categories(path: Path, categories: list[dict], classes: Sequence[str] | None) -> list[dict]:
    """Return the categories of the file, and new ones for the classes after them."""
    names = ordered_class_names(categories)
    if classes is None:
        classes = names
    if not classes:
        raise ValueError(f'{path}: expected the names of the classes, --classes, got none')
    if list(classes[: len(names)]) != names:
        raise ValueError(
            f'{path}: its classes are {names}: expected these, or these and more after them, got '
            f'{list(classes)}'
        )
    known = sorted(categories, key=lambda entry: entry['id'])
    first = _next_id({entry['id'] for entry in known})
    new = [
        dict(id=number, name=name) for number, name in enumerate(classes[len(names) :], start=first)
    ]
    if new and any(not isinstance(entry['id'], int) for entry in known):
        raise ValueError(f'{path}: expected ids of categories that are numbers, to add {new[0]}')
    return [*known, *new]


def _name(path: Path, index: int, entry: Mapping) -> str:
    return relative_name(entry['file_name'], where=f'{path}: images[{index}]')


def _next_id(ids: Iterable[_ID]) -> int:
    return max((number for number in ids if isinstance(number, int)), default=0) + 1


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def parse_points(values: Any) -> list[Point]:
    """Return points from the json of a client.

    Args:
        values: list of ``{x, y, label, id}``; ``id`` can be null.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(values, list):
        raise ValueError(f'expected a list of points, got {values!r:.60}')
    points = []
    for index, value in enumerate(values):
        sound = (
            isinstance(value, dict)
            and is_finite_number(value.get('x'))
            and is_finite_number(value.get('y'))
            and isinstance(value.get('label'), str)
            and isinstance(value.get('id'), int | str | None)
        )
        if not sound:
            raise ValueError(f'points[{index}]: expected x, y, label and id, got {value!r:.60}')
        points.append(Point(float(value['x']), float(value['y']), value['label'], value.get('id')))
    return points
