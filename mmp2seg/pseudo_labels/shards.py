"""Pseudo labels on their way to the json: a journal per process, joined at the end.

While a network labels images, each process appends the entries of its images to a journal in the
folder ``<labels>.json.shards``. At the end, one process reads the journals in the order of the
image ids and writes the json. So no process holds the entries of more than one image, and after an
interruption the finished images need not be labelled again.
"""

import contextlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmp2seg.files.folder_lock import folder_lock
from mmp2seg.files.journal import Journal, JournalEntries
from mmp2seg.files.json_reading import require_keys, require_lists
from mmp2seg.files.json_stream import write_json_object
from mmp2seg.pseudo_labels.coco_json import ANNOTATION_KEYS, DROPPED_KEYS, Entry, assemble


@dataclass(frozen=True)
class ImageEntries:
    """The entries of an image.

    Attributes:
        image: its entry of ``images``.
        annotations: entries of its instances, without ids.
        dropped: entries of its points without an instance.
    """

    image: Entry
    annotations: Sequence[Entry]
    dropped: Sequence[Entry]


@dataclass
class LabelCounts:
    """What a file of pseudo labels holds.

    Attributes:
        num_images, num_instances: numbers of entries.
        num_dropped: number of dropped points by reason.
    """

    num_images: int = 0
    num_instances: int = 0
    num_dropped: Counter[str] = field(default_factory=Counter)


def shard_folder(outfile: str | Path) -> Path:
    """Return the folder of the shards of a json."""
    return Path(f'{outfile}.shards')


def finished_images(outfile: str | Path, run: Any) -> set[int]:
    """Return the ids of the images that earlier processes of a run have finished.

    Args:
        outfile: the json of the run.
        run: what its results depend on, as plain json types.
    """
    finished: set[int] = set()
    for path in _shards(outfile):
        with contextlib.closing(JournalEntries(path, _plan(run))) as entries:
            finished.update(entries)  # type: ignore[arg-type]
    return finished


class LabelShards:
    """The entries of the images of all processes, on disk.

    The first process reserves the folder until :meth:`remove`.

    Args:
        outfile: the json to write later; its folder is created.
        rank: number of this process.
        run: what the results depend on, as plain json types: shards of an earlier run with the same
            value are kept. None: they are not.

    Raises:
        FolderInUse: another command writes to the same json.
        OSError: the folder cannot be written to.
    """

    def __init__(self, outfile: str | Path, *, rank: int = 0, run: Any = None) -> None:
        self._outfile = outfile
        self._run = run
        self._folder = shard_folder(outfile)
        self._lock = contextlib.ExitStack()
        if rank == 0:
            self._lock.enter_context(folder_lock(self._folder))
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(rank)
        if run is None:
            path.unlink(missing_ok=True)
        self._own = Journal(path, _plan(run))

    def __len__(self) -> int:
        """Return the number of images of this process."""
        return len(self._own.entries)

    def add(self, found: ImageEntries) -> None:
        """Append the entries of an image; those of an image that is there already are replaced."""
        self._own.add(found.image['id'], [found.image, found.annotations, found.dropped])

    def close(self) -> None:
        """End adding."""
        self._own.close()

    def joined(self, counts: Sequence[int]) -> 'JoinedShards':
        """Return the entries of all processes, when they have ended adding.

        Args:
            counts: number of images of each process, ``len(shards)``.

        Raises:
            ValueError: the shard of a process lacks images.
        """
        shards = [JournalEntries(self._path(rank), _plan(self._run)) for rank in range(len(counts))]
        for rank, (entries, expected) in enumerate(zip(shards, counts, strict=True)):
            if len(entries) != expected:
                raise ValueError(
                    f'{self._path(rank)}: expected {expected} images of process {rank}, got '
                    f'{len(entries)}: all processes have to write to the same file system'
                )
        if self._run is not None:  # of earlier processes, if there were more
            known = set(map(self._path, range(len(counts))))
            others = [path for path in _shards(self._outfile) if path not in known]
            shards += [JournalEntries(path, _plan(self._run)) for path in others]
        return JoinedShards(shards)

    def remove(self) -> None:
        """Remove the shards of all processes."""
        self.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()

    def _path(self, rank: int) -> Path:
        return self._folder / f'{rank:05d}.jsonl'


class JoinedShards:
    """The entries of all processes, by image id; one image at a time is in memory.

    If several processes have an image, the first of them counts.
    """

    def __init__(self, shards: Sequence[JournalEntries]) -> None:
        self._shards = shards
        self._places: dict[Any, int] = {}
        for number, entries in enumerate(shards):
            for image_id in entries:
                self._places.setdefault(image_id, number)
        self._order = sorted(self._places, key=_by_kind)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._order)

    def __contains__(self, image_id: object) -> bool:
        """Return whether an image has entries."""
        return image_id in self._places

    def __iter__(self) -> Iterator[ImageEntries]:
        """Read the entries of the images, in the order of their ids.

        Raises:
            ValueError: a part of an entry is missing; the message names the shard and the image.
        """
        for image_id in self._order:
            shard = self._shards[self._places[image_id]]
            yield _image_entries(shard[image_id], where=f'{shard.path}: image {image_id!r:.60}')

    def close(self) -> None:
        """Close the files."""
        for entries in self._shards:
            entries.close()


def write_labels(
    path: str | Path,
    results: Callable[[], Iterable[ImageEntries]],
    *,
    categories: Sequence[Entry],
    info: Entry,
    images: Iterable[Entry] | None = None,
) -> LabelCounts:
    """Write a pseudo label json one image at a time.

    The file is that of :func:`mmp2seg.pseudo_labels.coco_json.assemble`.

    Args:
        path: the json to write, atomically.
        results: returns the entries of the images in the order of the image ids, each time from the
            start. An image occurs once.
        categories, info: of the file.
        images: entries of ``images``, which are not compared with ``results``. None: those of
            ``results``.

    Raises:
        ValueError: see :func:`mmp2seg.pseudo_labels.coco_json.assemble`; the message names the
            file that is not written.
        OSError: the file cannot be written.
    """
    counts = LabelCounts()

    def counted_images() -> Iterator[Entry]:
        for image in (found.image for found in results()) if images is None else images:
            counts.num_images += 1
            yield image

    def numbered_annotations() -> Iterator[Entry]:
        for found in results():
            parts = ([found.image], categories, found.annotations, found.dropped)
            try:
                annotations = assemble(*parts, {})['annotations']
            except ValueError as error:
                raise ValueError(f'{path}: not written, {error}') from error
            for annotation in annotations:
                counts.num_instances += 1
                yield {**annotation, 'id': counts.num_instances}

    def dropped_points() -> Iterator[Entry]:
        for found in results():
            for point in sorted(found.dropped, key=lambda entry: entry['point_id']):
                counts.num_dropped[point['reason']] += 1
                yield point

    fields = (
        ('info', info),
        ('images', counted_images()),
        ('categories', list(categories)),
        ('annotations', numbered_annotations()),
        ('dropped_points', dropped_points()),
    )
    write_json_object(path, fields)
    return counts


def _image_entries(entry: Any, *, where: str) -> ImageEntries:
    """Check that nothing is missing in an entry of a shard, which a disk can have broken."""
    if not (isinstance(entry, list) and len(entry) == 3):
        raise ValueError(f'{where}: expected an image, annotations and dropped points')
    image, annotations, dropped = entry
    require_lists(where, dict(annotations=annotations, dropped=dropped), ('annotations', 'dropped'))
    keys = ('id', 'file_name', 'height', 'width') if annotations else ('id',)
    require_keys(where, 'images', [image], keys)
    require_keys(where, 'annotations', annotations, ANNOTATION_KEYS[1:])
    require_keys(where, 'dropped_points', dropped, DROPPED_KEYS)
    return ImageEntries(image, annotations, dropped)


def _by_kind(image_id: Any) -> tuple[bool, str, Any]:
    """Order the numbers before the words and others, which a broken shard can have among them."""
    return not isinstance(image_id, int), type(image_id).__name__, image_id


def _plan(run: Any) -> Any:
    return {'pseudo labels of': run}


def _shards(outfile: str | Path) -> list[Path]:
    return sorted(shard_folder(outfile).glob('*.jsonl'))
