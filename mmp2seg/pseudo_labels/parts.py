"""Split the json of a data set into parts by images, and merge the jsons of parts.

So several machines can each label a part. The files can be larger than the memory: it holds the
images, the annotation ids of point jsons, and the annotations of one image.
"""

import contextlib
import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmp2seg.datasets.coco_content import check_coco_content, check_references
from mmp2seg.files.json_reading import require_keys
from mmp2seg.files.json_stream import stream_json_object, write_json_object
from mmp2seg.pseudo_labels.coco_json import (
    ANNOTATION_KEYS,
    DROPPED_KEYS,
    ID_KEYS,
    Entry,
    check_content,
    load,
    require_integers,
)
from mmp2seg.pseudo_labels.shards import ImageEntries, LabelShards, write_labels

_DROPPED = 'dropped_points'
_LISTS = ('images', 'categories', 'annotations')
_OPEN_PARTS = 64  # that are written at a time: a process may have some 1000 open files
_NEEDED = {'annotations': ANNOTATION_KEYS, _DROPPED: DROPPED_KEYS}


@dataclass(frozen=True)
class MergedCounts:
    """Numbers of entries of a merged json; of pseudo labels also of its dropped points."""

    num_images: int
    num_annotations: int
    num_dropped: int | None = None


def merge_files(
    paths: Sequence[str | Path], outfile: str | Path, *, renumber: bool = False
) -> MergedCounts:
    """Join point jsons or pseudo label jsons of different images.

    The images are in the order of the files. Annotations of pseudo labels have the ids 1, 2, ... in
    the order of image id and point id, those of points keep their ids and the order of the files.
    So the labels of the parts of :func:`split_file` become those of the whole. ``info``, and other
    keys of the files, are those of the first file; if the files' ``info`` differ, ``merged_from``
    lists the files.

    Args:
        paths: the files, all of points or all of pseudo labels.
        outfile: the json to write, atomically.
        renumber: give the images new ids, 1, 2, ... in the order of the files and of their old ids,
            and the annotations of points 1, 2, ... in their order. The point ids of labels stay.

    Raises:
        FileNotFoundError: a file does not exist.
        ValueError: a file is broken, an image is in two files, categories differ, or ids of
            different files collide; the message names the files.
        FolderInUse: another command writes ``outfile``.
        OSError: the file cannot be written.
    """
    if not paths:
        raise ValueError('expected at least one file to merge, got none')
    heads = [_read_head(path) for path in paths]
    _check_kinds(heads)
    _check_categories(heads)
    _check_names(heads)
    if renumber:
        _renumber_images(heads)
    else:
        _check_ids(heads)
    if heads[0].is_labels:
        return _merge_labels(heads, outfile, renumber=renumber)
    return _merge_points(heads, outfile, renumber=renumber)


def split_file(path: str | Path, num_parts: int, folder: str | Path) -> list[Path]:
    """Split a point json or a pseudo label json by images.

    Part i has the images of the i-th of ``num_parts`` sections of the list, whose lengths differ by
    at most 1. Ids and all other keys stay.

    Args:
        path: the file.
        num_parts: number of parts, at most that of images.
        folder: where ``<name>_<i>of<num_parts>.json`` are written, each atomically.

    Returns:
        list of the paths of the parts.

    Raises:
        FileNotFoundError, ValueError: the file is missing or broken, or has too few images.
        OSError: a part cannot be written.
    """
    head = _read_head(path)
    num_images = len(head.images)
    if not 1 <= num_parts <= num_images:
        raise ValueError(f'{path}: expected 1 to {num_images} parts, got {num_parts}')
    bounds = [num_images * number // num_parts for number in range(num_parts + 1)]
    part_of: dict[Any, int] = {}
    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
        part_of |= dict.fromkeys(itertools.islice(head.images, start, end), number)
    digits = len(str(num_parts))
    names = [
        f'{Path(path).stem}_{number:0{digits}d}of{num_parts}.json'
        for number in range(1, num_parts + 1)
    ]
    outfiles = [Path(folder, name) for name in names]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for start in range(0, num_parts, _OPEN_PARTS):
        _write_parts(head, part_of, range(start, min(start + _OPEN_PARTS, num_parts)), outfiles)
    return outfiles


@dataclass
class _Head:
    """What is not a list of annotations.

    Attributes:
        images: names by id, in the order of the list.
        keys: names of the parts of the file, in their order.
        new_ids: new ids of the images, if they are renumbered.
    """

    path: str | Path
    keys: list[str]
    images: dict[Any, str]
    categories: list[Entry]
    rest: Entry
    is_labels: bool
    new_ids: dict[Any, int] | None = None

    def new_id(self, image_id: Any) -> Any:
        return image_id if self.new_ids is None else self.new_ids[image_id]

    def stream(self, part: str) -> Iterator[tuple[int, Entry]]:
        """Read the entries of a list with their positions."""
        others = [key for key in self.keys if key != part]
        for _, index, entry in stream_json_object(
            self.path, lists=(), optional=(part,), skip=others
        ):
            if index is not None:
                yield index, entry

    def new_images(self) -> Iterator[Entry]:
        """Read the images, with their new ids."""
        return ({**image, 'id': self.new_id(image['id'])} for _, image in self.stream('images'))


def _read_head(path: str | Path) -> _Head:
    images: list[Entry] = []
    categories: list[Entry] = []
    rest: Entry = {}
    keys: dict[str, None] = {}
    has_point_ids = False
    for part, index, entry in stream_json_object(path, lists=_LISTS, optional=(_DROPPED,)):
        keys.setdefault(part)
        if part == 'annotations' and index is not None:
            has_point_ids |= isinstance(entry, dict) and 'point_id' in entry
        elif part not in (*_LISTS, _DROPPED):
            rest[part] = entry
        elif part == 'images' and index is not None:
            needed = ('id', 'file_name', 'background_points')
            require_keys(path, part, [entry], ('id', 'file_name'), start=index)
            images.append({key: entry[key] for key in needed if key in entry})
        elif part == 'categories' and index is not None:
            categories.append(entry)
    content = {'images': images, 'categories': categories, 'annotations': []}
    check_coco_content(path, content)
    if not isinstance(rest.get('info', {}), dict):
        raise ValueError(f'{path}: expected an object info, got {rest["info"]!r:.60}')
    names = {image['id']: image['file_name'] for image in images}
    return _Head(path, list(keys), names, categories, rest, _DROPPED in keys or has_point_ids)


def _check_kinds(heads: Sequence[_Head]) -> None:
    first = heads[0]
    for head in heads:
        if head.is_labels != first.is_labels:
            kinds = ('pseudo labels' if h.is_labels else 'points' for h in (first, head))
            raise ValueError(
                f'{first.path} and {head.path}: expected files of the same kind, got '
                f'{" and ".join(kinds)}'
            )


def _check_categories(heads: Sequence[_Head]) -> None:
    first = heads[0]
    for head in heads[1:]:
        if head.categories != first.categories:
            got = ([category['name'] for category in h.categories] for h in (first, head))
            raise ValueError(
                f'{first.path} and {head.path}: expected the same categories with the same ids, '
                f'got {next(got)!r:.80} and {next(got)!r:.80}'
            )


def _check_names(heads: Sequence[_Head]) -> None:
    paths: dict[str, str | Path] = {}
    for head in heads:
        for name in head.images.values():
            other = paths.setdefault(name, head.path)
            if other != head.path:
                raise ValueError(f'{other} and {head.path}: the image {name} is in both')
    if len({str(head.path) for head in heads}) < len(heads):
        raise ValueError('expected different files, got one twice')


def _check_ids(heads: Sequence[_Head]) -> None:
    owner: dict[Any, _Head] = {}
    for head in heads:
        for image_id, name in head.images.items():
            other = owner.setdefault(image_id, head)
            if other is not head:
                raise ValueError(
                    f'{other.path} and {head.path}: image id {image_id} is '
                    f'{other.images[image_id]} in one and {name} in the other (--renumber)'
                )


def _renumber_images(heads: Sequence[_Head]) -> None:
    numbers = itertools.count(1)
    for head in heads:
        head.new_ids = {image_id: next(numbers) for image_id in sorted(head.images, key=_order)}


def _order(image_id: Any) -> tuple[bool, Any]:
    return isinstance(image_id, str), image_id


def _merged_info(heads: Sequence[_Head]) -> Entry:
    infos: list[Entry] = [head.rest.get('info', {}) for head in heads]
    if all(info == infos[0] for info in infos):
        return infos[0]
    return {**infos[0], 'merged_from': [Path(head.path).name for head in heads]}


def _merge_points(heads: Sequence[_Head], outfile: str | Path, *, renumber: bool) -> MergedCounts:
    num_annotations = 0

    def annotations() -> Iterator[Entry]:
        nonlocal num_annotations
        owner: dict[Any, int] = {}
        for number, head in enumerate(heads):
            known_categories = {category['id'] for category in head.categories}
            for index, entry in head.stream('annotations'):
                keys = ('id', 'image_id', 'category_id')
                require_keys(head.path, 'annotations', [entry], keys, start=index)
                check_references(
                    head.path, index, entry, known_images=head.images,
                    known_categories=known_categories,
                )  # fmt: skip
                if not isinstance(entry['id'], int | str):
                    where = f'{head.path}: annotations[{index}]'
                    raise ValueError(f'{where}: expected an id, got {entry["id"]!r:.60}')
                num_annotations += 1
                if renumber:
                    entry['id'] = num_annotations
                elif entry['id'] in owner:
                    paths = f'{heads[owner[entry["id"]]].path} and {head.path}'
                    raise ValueError(f'{paths}: annotation id {entry["id"]} twice (--renumber)')
                else:
                    owner[entry['id']] = number
                yield {**entry, 'image_id': head.new_id(entry['image_id'])}

    values = {
        **heads[0].rest,
        'info': _merged_info(heads),
        'images': itertools.chain.from_iterable(head.new_images() for head in heads),
        'categories': heads[0].categories,
        'annotations': annotations(),
    }
    write_json_object(outfile, values.items())
    return MergedCounts(sum(len(head.images) for head in heads), num_annotations)


def _merge_labels(heads: Sequence[_Head], outfile: str | Path, *, renumber: bool) -> MergedCounts:
    shards = LabelShards(outfile)
    try:
        for head in heads:
            for found in _label_images(head):
                shards.add(found)
        shards.close()
        joined = shards.joined([len(shards)])
        with contextlib.closing(joined):
            counts = write_labels(
                outfile,
                lambda: joined,
                images=itertools.chain.from_iterable(head.new_images() for head in heads),
                categories=heads[0].categories,
                info=_merged_info(heads),
            )
    finally:
        shards.remove()
    return MergedCounts(counts.num_images, counts.num_instances, counts.num_dropped.total())


def _label_images(head: _Head) -> Iterator[ImageEntries]:
    """Read the labels of a file by image, with the new ids.

    mmp2seg writes files in the order of the image ids; another file is read as a whole.
    """
    try:
        yield from _ordered_images(head)
    except _UnorderedError:
        content = load(head.path)
        parts: dict[int, tuple[list[Entry], list[Entry]]] = {i: ([], []) for i in head.images}
        for number, part in enumerate(_NEEDED):
            for entry in content[part]:
                parts[entry['image_id']][number].append(entry)
        for image in content['images']:
            yield _with_new_ids(head, ImageEntries(image, *parts[image['id']]))


def _ordered_images(head: _Head) -> Iterator[ImageEntries]:
    groups = [_grouped(head, part) for part in _NEEDED]
    waiting = [next(group, None) for group in groups]
    images = sorted((image for _, image in head.stream('images')), key=lambda image: image['id'])
    for image in images:
        parts: list[list[Entry]] = [[], []]
        for number, group in enumerate(groups):
            found = waiting[number]
            if found is not None and found[0] == image['id']:
                parts[number] = found[1]
                waiting[number] = next(group, None)
        content = {
            'images': [image], 'categories': head.categories, 'annotations': parts[0],
            _DROPPED: parts[1],
        }  # fmt: skip
        check_content(content, where=head.path)
        yield _with_new_ids(head, ImageEntries(image, *parts))
    for found in waiting:
        if found is not None:
            entry = found[1][0]
            raise ValueError(
                f'{head.path}: image {found[0]}, point {entry["point_id"]}: the image is not in '
                'the list of images'
            )


def _grouped(head: _Head, part: str) -> Iterator[tuple[int, list[Entry]]]:
    """Read the entries of a list by image id.

    Raises:
        _UnorderedError: they are not in the order of the image ids.
    """

    def entries() -> Iterator[Entry]:
        for index, entry in head.stream(part):
            require_keys(head.path, part, [entry], _NEEDED[part], start=index)
            require_integers(head.path, part, [entry], ID_KEYS[part], start=index)
            yield entry

    last: int | None = None
    for image_id, group in itertools.groupby(entries(), key=lambda entry: entry['image_id']):
        if last is not None and image_id < last:
            raise _UnorderedError
        last = image_id
        yield image_id, list(group)


class _UnorderedError(Exception):
    """The entries of a file are not in the order of the image ids."""


def _with_new_ids(head: _Head, found: ImageEntries) -> ImageEntries:
    new_id = head.new_id(found.image['id'])
    annotations, dropped = (
        [{**entry, 'image_id': new_id} for entry in part]
        for part in (found.annotations, found.dropped)
    )
    return ImageEntries({**found.image, 'id': new_id}, annotations, dropped)


def _write_parts(
    head: _Head, part_of: dict[Any, int], numbers: range, outfiles: Sequence[Path]
) -> None:
    """Write some of the parts of a file, in one pass over each of its lists."""
    lists = [key for key in head.keys if key in ('images', 'annotations', _DROPPED)]
    folder = outfiles[0].parent
    with contextlib.ExitStack() as stack:
        spools = {
            (key, number): stack.enter_context(
                tempfile.TemporaryFile('w+', encoding='utf-8', dir=folder)
            )
            for key in lists
            for number in numbers
        }
        for key in lists:
            id_key = 'id' if key == 'images' else 'image_id'
            for index, entry in head.stream(key):
                require_keys(head.path, key, [entry], (id_key,), start=index)
                image_id = entry[id_key]
                if not isinstance(image_id, int | str) or image_id not in part_of:
                    raise ValueError(f'{head.path}: {key}[{index}]: unknown {id_key} {image_id!r}')
                if part_of[image_id] in numbers:
                    spools[key, part_of[image_id]].write(json.dumps(entry) + '\n')
        for number in numbers:
            values = {**head.rest, 'categories': head.categories}
            for key in lists:
                spools[key, number].seek(0)
                values[key] = map(json.loads, spools[key, number])
            write_json_object(outfiles[number], ((key, values[key]) for key in head.keys))
