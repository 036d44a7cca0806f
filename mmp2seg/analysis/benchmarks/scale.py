"""Large label files and point files: synthetic entries, without images and without a network."""

import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from mmp2seg.datasets import PointCocoDataset
from mmp2seg.evaluation.metrics import PseudoLabelWriter
from mmp2seg.files.json_stream import write_json_object
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.parts import merge_files, split_file

NUM_CLASSES = 80
SIZE = (480, 640)
_NUM_MASKS = 64
_PARTS = 4


def make_writing_call(options: Mapping) -> Callable[[], object]:
    """Return a call that writes the pseudo labels of images, as the test of a network does.

    Args:
        options: ``images``, their number; ``points`` of an image. A point has a mask of the size of
            an object in photographs.
    """
    folder = tempfile.TemporaryDirectory()
    rng = np.random.default_rng(0)
    masks = [_mask(rng) for _ in range(_NUM_MASKS)]

    def write() -> None:
        with folder:
            writer = PseudoLabelWriter(str(Path(folder.name) / 'labels.json'))
            writer.dataset_meta = {'classes': _names()}
            for number in range(options['images']):
                writer.process(None, [_sample(number, options['points'], masks, rng)])
            with contextlib.redirect_stdout(None):
                writer.evaluate(options['images'])

    return write


def make_reading_call(options: Mapping) -> Callable[[], object]:
    """Return a call that reads a point json with ``PointCocoDataset``.

    Args:
        options: ``images``, their number; ``points`` of an image, their mean, any number.
    """
    folder = tempfile.TemporaryDirectory()
    path = _write_points(Path(folder.name), options)

    def read() -> None:
        with folder:
            assert len(PointCocoDataset(ann_file=str(path))) == options['images']

    return read


def make_parts_call(options: Mapping) -> Callable[[], object]:
    """Return a call that splits a point json into four files and merges them.

    Args:
        options: see :func:`make_reading_call`.
    """
    folder = tempfile.TemporaryDirectory()
    path = _write_points(Path(folder.name), options)

    def split_and_merge() -> None:
        with folder:
            paths = split_file(path, _PARTS, folder.name)
            merge_files(paths, Path(folder.name) / 'merged.json')

    return split_and_merge


def _mask(rng: np.random.Generator) -> dict:
    """Return the RLE of an ellipse with a ragged border."""
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    center, radius = rng.uniform(50, (height - 50, width - 50)), rng.uniform(10, 90, 2)
    distance = ((y - center[0]) / radius[0]) ** 2 + ((x - center[1]) / radius[1]) ** 2
    return encode_rle(distance + rng.normal(0, 0.05, SIZE) < 1)


def _sample(number: int, points: int, masks: list[dict], rng: np.random.Generator) -> dict:
    """Return a data sample as the network gives it; no two masks are the same object."""
    chosen = (masks[index] for index in rng.integers(0, len(masks), points))
    return dict(
        img_id=number * 7919 % 1_000_003,  # the images of several processes are in no order
        file_name=f'{number:012d}.jpg',
        ori_shape=SIZE,
        pred_instances=dict(
            masks=[dict(size=m['size'], counts=m['counts'].encode().decode()) for m in chosen],
            labels=rng.integers(0, NUM_CLASSES, points),
            scores=rng.random(points, np.float32),
            points=rng.uniform(0, min(SIZE), (points, 2)),
            point_ids=np.arange(points) + number * points,
        ),
    )


def _write_points(folder: Path, options: Mapping) -> Path:
    """Write a point json with the keys of COCO's annotations, without masks."""
    images, points = options['images'], round(options['images'] * options['points'])
    rng = np.random.default_rng(0)
    path = folder / 'points.json'
    fields = dict(
        info={},
        images=map(_image, range(images)),
        annotations=itertools.islice(_annotations(images, rng), points),
        categories=[dict(id=k, name=name) for k, name in enumerate(_names(), start=1)],
    )
    write_json_object(path, fields.items())
    return path


def _image(number: int) -> dict:
    name, (height, width) = f'{number:012d}.jpg', SIZE
    url = f'http://images.example.org/train/{name}'
    return dict(
        id=number, file_name=name, height=height, width=width, license=3, coco_url=url,
        date_captured='2013-11-14 17:02:52',
    )  # fmt: skip


def _annotations(images: int, rng: np.random.Generator) -> Iterator[dict]:
    """Yield annotations of random images, without end."""
    for number in itertools.count(1):
        values = rng.random(8)
        yield dict(
            id=number,
            image_id=int(values[0] * images),
            category_id=int(values[1] * NUM_CLASSES) + 1,
            point=[values[2] * SIZE[1], values[3] * SIZE[0]],
            bbox=[round(100 * value, 2) for value in values[4:].tolist()],
            area=round(5000 * values[7], 4),
            iscrowd=0,
        )


def _names() -> tuple[str, ...]:
    return tuple(f'class {number}' for number in range(1, NUM_CLASSES + 1))
