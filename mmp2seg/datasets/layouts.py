"""Writing of point data sets to disk: point files, jsons, image lists, maps, whole folders."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask


@contextlib.contextmanager
def complete_folder(root: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Write a folder whole or not at all.

    Yields a temporary folder beside ``root``, which takes its name when the block ends well and is
    removed when it does not. With ``overwrite`` the old folder stays in place until then.

    Raises:
        FileExistsError: if ``root`` is a file, or holds anything and ``overwrite`` is not set.
    """
    root = Path(root)
    if root.exists() and not root.is_dir():
        raise FileExistsError(f'{root}: expected a folder, got a file')
    if root.is_dir() and any(root.iterdir()) and not overwrite:
        raise FileExistsError(f'{root}: the folder is not empty (overwrite it explicitly)')
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f'.{root.name}.partial-', dir=root.parent))
    partial.chmod(0o755)  # mkdtemp gives 0o700
    try:
        yield partial
        if root.is_dir():
            old = Path(tempfile.mkdtemp(prefix=f'.{root.name}.old-', dir=root.parent))
            root.rename(old / 'folder')
            partial.rename(root)
            shutil.rmtree(old)
        else:
            partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def voc_palette() -> np.ndarray:
    """PASCAL VOC's colours, (256, 3) uint8 RGB.

    Bit j of a value goes, from the lowest up, in turn to red, green and blue, the first three bits
    to the highest bit of the colours, the next three to the one below.
    """
    values = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        channel, place = bit % 3, 7 - bit // 3
        palette[:, channel] |= (((values >> bit) & 1) << place).astype(np.uint8)
    return palette


def write_palette_png(path: str | Path, index_map: np.ndarray) -> None:
    """Write an (H, W) uint8 map as PNG with VOC's palette."""
    image = Image.fromarray(index_map)
    image.putpalette(voc_palette().tobytes())
    image.save(path)


def read_index_png(path: str | Path) -> np.ndarray:
    """Read the values of a palette or grey PNG.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: if the file is no image, or has colours instead of values.
        FileNotFoundError: if it does not exist.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in ('P', 'L'):
                raise ValueError(f'{path}: expected a palette or grey image, got {image.mode}')
            return np.array(image)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such file') from error
    except (OSError, SyntaxError) as error:  # how Pillow reports a broken PNG
        raise ValueError(f'{path}: expected a PNG image, {error}') from error


def write_point_txt(path: str | Path, points_xy: np.ndarray, labels: Sequence[int]) -> None:
    """Write a line ``x y class confidence`` per point, in pixel indices, as BESTIE's files have.

    Args:
        path: file to write; without points it becomes an empty file.
        points_xy: (N, 2) continuous (x, y); a pixel's centre is written as the pixel's index.
        labels: (N,) classes 0..K-1.
    """
    lines = [
        f'{x - 0.5:g} {y - 0.5:g} {label} 1\n'
        for (x, y), label in zip(points_xy, labels, strict=True)
    ]
    Path(path).write_text(''.join(lines))


def write_lines(path: str | Path, lines: Iterable[str]) -> None:
    """Write a text file of lines, and the folders it lies in."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(f'{line}\n' for line in lines))


def image_class_line(name: str, labels: Iterable[int]) -> str:
    """Line of ``train_cls.txt``: the image's id and its classes, each once."""
    return ' '.join([name, *(str(label) for label in sorted({int(label) for label in labels}))])


def numeric_image_ids(names: Sequence[str]) -> list[int]:
    """Ids for a json: the names read as digits if all differ so ('2007_000032' -> 2007000032).

    Otherwise the images' places in the list, from 1. ``PointVOCDataset`` counts the same way.
    """
    digits = [name.replace('_', '') for name in names]
    if all(word.isdecimal() for word in digits):
        numbers = [int(word) for word in digits]
        if len(set(numbers)) == len(numbers):
            return numbers
    return list(range(1, len(names) + 1))


class AnnotationCollector:
    """Collects the objects of a split and writes them as point json and as truth json.

    Both files have the same images, categories (ids 1..K) and annotation ids (1.. in the order of
    ``add``). The point json holds nothing of the masks; the truth json, for evaluation only, has
    RLE masks with str counts, boxes, areas and the points.

    Args:
        classes: names of the K classes.
        description: goes into ``info`` of both files.
    """

    def __init__(self, classes: Sequence[str], *, description: str) -> None:
        self._info = dict(description=description)
        self._categories = [dict(id=i + 1, name=name) for i, name in enumerate(classes)]
        self._images: list[dict] = []
        self._points: list[dict] = []
        self._instances: list[dict] = []

    def add(
        self,
        *,
        image_id: int,
        file_name: str,
        instance_map: np.ndarray,
        labels: np.ndarray,
        points_xy: np.ndarray,
    ) -> None:
        """Add an image with its N objects, also when N is 0.

        Args:
            image_id: number of the image in the json.
            file_name: the image's file, relative to the image folder.
            instance_map: (H, W) int32, 0 = none, i + 1 = object i.
            labels: (N,) classes 0..K-1.
            points_xy: (N, 2) continuous (x, y).
        """
        height, width = map(int, instance_map.shape)
        image = dict(id=int(image_id), file_name=file_name, height=height, width=width)
        self._images.append(image)
        for i, (label, point) in enumerate(zip(labels, points_xy, strict=True)):
            shared = dict(
                id=len(self._points) + 1,
                image_id=int(image_id),
                category_id=int(label) + 1,
                point=[float(point[0]), float(point[1])],
            )
            self._points.append(shared)
            self._instances.append(shared | _mask_entries(instance_map == i + 1))

    def write_points(self, path: str | Path) -> None:
        """Write the point json."""
        self._write(path, self._points)

    def write_instances(self, path: str | Path) -> None:
        """Write the truth json."""
        self._write(path, self._instances)

    def _write(self, path: str | Path, annotations: list[dict]) -> None:
        content = dict(
            info=self._info,
            images=self._images,
            categories=self._categories,
            annotations=annotations,
        )
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))


def _mask_entries(mask: np.ndarray) -> dict:
    """COCO's entries for a mask (H, W) bool."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return dict(
        segmentation=dict(size=[int(s) for s in rle['size']], counts=rle['counts'].decode()),
        bbox=[float(value) for value in coco_mask.toBbox(rle)],
        area=int(coco_mask.area(rle)),
        iscrowd=0,
    )


def link_or_copy(source: str | Path, target: str | Path, *, copy: bool = False) -> None:
    """Put a file or folder at another place, as a symbolic link or as a copy.

    Raises:
        FileNotFoundError: if the source does not exist.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f'{source}: no such file or folder')
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    if not copy:
        os.symlink(source.resolve(), target)
    elif source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
