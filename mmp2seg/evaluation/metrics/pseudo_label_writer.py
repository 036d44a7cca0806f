"""PseudoLabelWriter: the predictions of stage 1 as labels for stage 2."""

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from mmengine.dist import all_gather_object, broadcast_object_list, get_rank, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmp2seg.codecs import DROP_REASONS
from mmp2seg.files.json_reading import require_keys
from mmp2seg.files.json_stream import stream_json_object
from mmp2seg.pseudo_labels.coco_json import category_ids_of, encode_image
from mmp2seg.pseudo_labels.shards import (
    ImageEntries,
    JoinedShards,
    LabelCounts,
    LabelShards,
    write_labels,
)
from mmp2seg.registry import METRICS
from mmp2seg.version import __version__

_AT_WORK, _FAILED, _DONE = 'at work', 'failed', 'done'
_SIGN_SECONDS = 5.0


@METRICS.register_module()
class PseudoLabelWriter(BaseMetric):
    """Write ``pred_instances`` of all ranks as one COCO json that mmdet trains on unchanged.

    Masks are run-length encoded and written to ``<outfile>.shards`` as they arrive
    (:class:`mmp2seg.pseudo_labels.shards.LabelShards`), so memory holds the entries of one batch.
    With several processes, this folder has to be on a file system that all of them share. The json
    is the same for any number of processes: an image that several have is in it once.
    Figures: ``num_images``, ``num_instances``, ``num_dropped`` and ``num_dropped_<reason>``.

    Args:
        outfile: the json to write. An existing file is replaced only when the new one is complete.
        ann_file: COCO json whose ``images`` and ``categories`` are copied (its annotations are not
            read). Without it the images are those of the results and the categories are ``1..K`` in
            the order of the dataset's classes.
        prefix: argument of mmengine's ``BaseMetric``.
        collect_device, collect_dir: of the same, without effect: the processes exchange their
            results in the shards.

    Raises:
        ValueError: if ``outfile`` is not named ``*.json``, or ``ann_file`` is malformed. At the
            first sample that does not fit: if ``ann_file`` lacks its image or a class of the
            dataset, or has another file name or size for the image.
    """

    default_prefix = 'pseudo_labels'

    def __init__(
        self,
        outfile: str,
        *,
        ann_file: str | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if not str(outfile).endswith('.json'):
            raise ValueError(f'expected outfile to end with .json, got {outfile!r}')
        self.outfile = outfile
        self.ann_file = ann_file
        self._shards: LabelShards | None = None
        self._images: dict[int, tuple[str, int, int]] | None = None
        self._categories: list[dict] | None = None
        if ann_file is not None:
            self._images, self._categories = _read_ann_file(ann_file)

    def resume(self, run: Any) -> None:
        """Keep the results of the processes of an earlier, interrupted run.

        Call it before the first batch. Which images are finished:
        :func:`mmp2seg.pseudo_labels.shards.finished_images`.

        Args:
            run: what the results depend on, as plain json types; results of another run are
                forgotten.

        Raises:
            FolderInUse: another command writes to the same json.
        """
        self._shards = LabelShards(self.outfile, rank=get_rank(), run=run)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Encode the instances and dropped points of a batch of data samples."""
        category_ids = category_ids_of(self.categories, self._classes)
        for data_sample in data_samples:
            image = self._image_entry(data_sample)
            annotations, dropped = encode_image(data_sample, category_ids)
            self._opened_shards().add(ImageEntries(image, annotations, dropped))

    def evaluate(self, size: int) -> dict:
        """Write the json from the results of all processes; return the figures in each of them.

        Args:
            size: ignored.

        Raises:
            ValueError: the results of a process are not on the file system of the first one, or
                entries do not fit the images.
            RuntimeError: in the other processes, with the message of the first one.
        """
        shards, self._shards = self._opened_shards(), None
        shards.close()
        counts = all_gather_object(len(shards))
        if not is_main_process():
            return _wait_for_figures()
        try:
            joined = shards.joined(counts)
            with contextlib.closing(joined):
                figures = self._figures(self._write(joined))
            shards.remove()
        except Exception as error:
            broadcast_object_list([_FAILED, str(error)])
            raise
        broadcast_object_list([_DONE, figures])
        return figures

    def compute_metrics(self, results: list) -> dict:
        """Not used: :meth:`evaluate` reads the results from the disk."""
        raise NotImplementedError

    @property
    def categories(self) -> list[dict]:
        """COCO categories of the file."""
        if self._categories is not None:
            return self._categories
        if self._classes is None:
            raise ValueError(
                'expected ann_file or classes in the metainfo of the dataset, got none'
            )
        return [{'id': index, 'name': name} for index, name in enumerate(self._classes, start=1)]

    @property
    def _classes(self) -> Sequence[str] | None:
        return (self.dataset_meta or {}).get('classes')

    def _opened_shards(self) -> LabelShards:
        if self._shards is None:
            self._shards = LabelShards(self.outfile, rank=get_rank())
        return self._shards

    def _write(self, joined: JoinedShards) -> LabelCounts:
        info = {'description': 'pseudo labels from points', 'version': f'mmp2seg {__version__}'}
        images = None
        if self.ann_file is not None:
            self._warn_of_missing_results(joined)
            images = _images_of(self.ann_file)
        try:
            written = write_labels(
                self.outfile,
                lambda: _with_signs_of_life(joined),
                categories=self.categories,
                info=info,
                images=images,
            )
        except ValueError as error:
            source = self.ann_file or 'the results'
            raise ValueError(f'{self.outfile}: not written, images of {source}: {error}') from error
        message = f'{written.num_instances} pseudo labels written to {self.outfile}'
        print_log(message, logger='current')
        return written

    def _figures(self, written: LabelCounts) -> dict:
        figures = {
            'num_images': written.num_images,
            'num_instances': written.num_instances,
            'num_dropped': written.num_dropped.total(),
            **{f'num_dropped_{reason}': written.num_dropped[reason] for reason in DROP_REASONS},
        }
        return {f'{self.prefix}/{name}': value for name, value in figures.items()}

    def _image_entry(self, data_sample: dict) -> dict:
        """COCO entry of the image of a sample, checked against ``ann_file``."""
        image_id, file_name = data_sample['img_id'], data_sample.get('file_name')
        height, width = map(int, data_sample['ori_shape'][:2])
        entry = {'id': image_id, 'file_name': file_name, 'height': height, 'width': width}
        if self._images is None:
            return entry
        listed = self._images.get(image_id)
        if listed is None:
            raise ValueError(
                f'{self.ann_file}: image {image_id} ({file_name}) is not among its images: '
                'expected the file of the tested images'
            )
        known, known_height, known_width = listed
        if file_name is not None and PurePath(file_name).name != PurePath(known).name:
            raise ValueError(
                f'{self.ann_file}: image {image_id} is {known}, the tested one is {file_name}: '
                'expected the file of the tested images'
            )
        if (known_height, known_width) != (height, width):
            raise ValueError(
                f'{self.ann_file}: image {image_id} ({known}): expected {width} x {height} pixels, '
                f'the size of the image file, got {known_width} x {known_height}'
            )
        return {**entry, 'file_name': known}

    def _warn_of_missing_results(self, joined: JoinedShards) -> None:
        missing = [name for key, (name, *_) in self._images.items() if key not in joined]
        if missing:
            print_log(
                f'{self.ann_file}: no result for {len(missing)} of {len(self._images)} images, '
                f'they stay without pseudo labels: {missing[0]} ...',
                logger='current',
                level=logging.WARNING,
            )


def _with_signs_of_life(joined: JoinedShards) -> Iterator[ImageEntries]:
    """Tell the other processes regularly that this one is at work.

    They wait in :func:`_wait_for_figures`, and the wait for one message is limited: NCCL ends the
    process after 10 minutes, while a million images take longer.
    """
    last = time.monotonic()
    for found in joined:
        if time.monotonic() - last >= _SIGN_SECONDS:
            broadcast_object_list([_AT_WORK, None])
            last = time.monotonic()
        yield found


def _wait_for_figures() -> dict:
    """Return the figures that the first process sends when it has written the json."""
    message = [_AT_WORK, None]
    while message[0] == _AT_WORK:
        broadcast_object_list(message)
    if message[0] == _FAILED:
        raise RuntimeError(f'the first process ended: {message[1]}')
    return message[1]


def _read_ann_file(path: str) -> tuple[dict[int, tuple[str, int, int]], list[dict]]:
    """Return name, height and width of the images by id, and the categories of a COCO json."""
    images: dict[int, tuple[str, int, int]] = {}
    categories: list[dict] = []
    entries = stream_json_object(path, lists=('images', 'categories'), skip=('annotations',))
    for part, index, entry in entries:
        if index is None:
            continue
        if part == 'images':
            require_keys(path, part, [entry], ('id', 'file_name', 'height', 'width'), start=index)
            if entry['id'] in images:
                raise ValueError(f'{path}: expected image ids that differ, got one twice')
            images[entry['id']] = (entry['file_name'], entry['height'], entry['width'])
        else:
            require_keys(path, part, [entry], ('id', 'name'), start=index)
            categories.append(entry)
    return images, categories


def _images_of(path: str) -> Iterator[dict]:
    """Read the images of a COCO json one after the other."""
    entries = stream_json_object(path, lists=('images',), skip=('annotations',))
    return (entry for part, index, entry in entries if part == 'images' and index is not None)
