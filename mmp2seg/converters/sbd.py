"""Merge VOC 2012 and the Semantic Boundaries Dataset (SBD) into one folder in VOC's layout.

SBD (home page:
https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours) annotates
objects and classes of 11 355 images of VOC 2011, which are all in VOC 2012. Its train and val lists
differ from VOC's: SBD's train includes part of VOC's val. The union of VOC's train and all of SBD,
minus VOC's val, is the set of 10 582 images known as train_aug.
"""

import dataclasses
import io
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from mmp2seg.datasets.voc_layout import read_image_list, write_lines
from mmp2seg.files.folders import complete_folder, link_or_copy
from mmp2seg.files.image_folder import image_size
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.ops.components import IGNORE

TRAIN_AUG_SIZE = 10582
_LISTS = Path('ImageSets') / 'Segmentation'
_MAP_FOLDERS = ('SegmentationObject', 'SegmentationClass')
_IMAGES = 'JPEGImages'
_SPLITS = ('train', 'val')


@dataclasses.dataclass(frozen=True)
class SbdReport:
    """Counts of a merge.

    Attributes:
        num_train_aug: number of images in ``train_aug.txt``.
        num_voc: number of these images with VOC's annotation.
        num_sbd: number of these images with SBD's annotation.
        num_new_images: number of image files taken from SBD because VOC's folder lacks them.
        differing: images of SBD in which ``cls`` and ``inst`` assign different classes to object
            pixels; ``inst`` is used.
    """

    num_train_aug: int
    num_voc: int
    num_sbd: int
    num_new_images: int
    differing: tuple[str, ...]


def merge_sbd(
    voc_root: str | Path,
    sbd_root: str | Path,
    out_root: str | Path,
    *,
    num_classes: int = 20,
    copy: bool = False,
    overwrite: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> SbdReport:
    """Write a folder in VOC's layout with VOC's and SBD's images and maps, and ``train_aug.txt``.

    ``train_aug.txt`` lists VOC's train, followed by the images of SBD's train and val that are not
    in VOC's train or val. An image keeps VOC's two maps if both exist; otherwise it gets SBD's
    maps. The rest of VOC's folder (lists, maps, annotations, weak maps) is included.

    Args:
        voc_root: VOC2012, with ``ImageSets/Segmentation/train.txt`` and ``val.txt``.
        sbd_root: SBD's folder with ``inst``, ``cls``, ``img``, ``train.txt`` and ``val.txt``, or a
            folder that contains it as ``dataset``.
        out_root: folder to create; it is written atomically.
        num_classes: number K of classes without background.
        copy: copy VOC's and SBD's files instead of linking to them.
        overwrite: replace a folder that is not empty.
        track: function that wraps the list of images, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: a list, image or map is missing.
        ValueError: a list or a ``.mat`` file is broken, or a ``.mat`` file has another size than
            its image.
        FileExistsError: ``out_root`` is not empty and ``overwrite`` is False.
    """
    voc_root, sbd_root = Path(voc_root), find_sbd(sbd_root)
    voc_lists = {name: read_image_list(voc_root / _LISTS / f'{name}.txt') for name in _SPLITS}
    sbd_lists = [read_image_list(sbd_root / f'{name}.txt') for name in _SPLITS]
    train_aug = merge_lists(voc_lists['train'], voc_lists['val'], *sbd_lists)
    with complete_folder(out_root, overwrite=overwrite, inputs=[voc_root, sbd_root]) as folder:
        _carry_over(voc_root, folder, copy=copy)
        differing, num_sbd, num_new = [], 0, 0
        for name in track(train_aug):
            image = folder / _IMAGES / f'{name}.jpg'
            if not image.exists():
                link_or_copy(sbd_root / 'img' / f'{name}.jpg', image, copy=copy)
                num_new += 1
            if all((folder / part / f'{name}.png').exists() for part in _MAP_FOLDERS):
                continue
            object_map, class_map, differs = read_sbd_maps(sbd_root, name, num_classes=num_classes)
            if object_map.shape != image_size(image):
                raise ValueError(
                    f'{sbd_root / "inst" / name}.mat: expected the size of its image, '
                    f'{image_size(image)}, got {object_map.shape}'
                )
            for part, values in zip(_MAP_FOLDERS, (object_map, class_map), strict=True):
                path = folder / part / f'{name}.png'
                path.unlink(missing_ok=True)  # the link to VOC's map, if VOC has only one
                write_palette_png(path, values)
            num_sbd += 1
            if differs:
                differing.append(name)
        write_lines(folder / _LISTS / 'train_aug.txt', train_aug)
    num_voc = len(train_aug) - num_sbd
    return SbdReport(len(train_aug), num_voc, num_sbd, num_new, tuple(differing))


def find_sbd(root: str | Path) -> Path:
    """Return the folder with SBD's ``inst``: ``root`` or ``root/dataset``.

    Raises:
        FileNotFoundError: neither folder has it.
    """
    for folder in (Path(root), Path(root) / 'dataset'):
        if (folder / 'inst').is_dir():
            return folder
    raise FileNotFoundError(
        f'{root}: expected SBD, with a folder inst or dataset/inst, got neither'
    )


def merge_lists(
    voc_train: Sequence[str], voc_val: Sequence[str], *sbd_lists: Sequence[str]
) -> list[str]:
    """Return VOC's train list, then the images that only SBD lists, without repetition."""
    names = dict.fromkeys(voc_train)
    for names_of_list in sbd_lists:
        names.update(dict.fromkeys(names_of_list))
    held_out = set(voc_val) - set(voc_train)
    return [name for name in names if name not in held_out]


def read_sbd_maps(
    sbd_root: str | Path, name: str, *, num_classes: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Read the maps of an SBD image in VOC's format.

    Args:
        sbd_root: folder with ``inst`` and ``cls``.
        name: the image's name without suffix.
        num_classes: number K of classes without background.

    Returns:
        object map (H, W) uint8 (0 = none, 1..N, 255 = void), class map (H, W) uint8 (0 =
        background, k + 1 = class k, 255 = void; from ``inst`` within objects, from ``cls``
        outside), and whether the two differ within objects.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is not a ``.mat`` file of SBD, the sizes differ, an object has no
            category, or a class is out of range; the message names the file.
    """
    inst_path, cls_path = (Path(sbd_root) / part / f'{name}.mat' for part in ('inst', 'cls'))
    inst, cls = _read_struct(inst_path, 'GTinst'), _read_struct(cls_path, 'GTcls')
    object_map = _read_field(inst, 'Segmentation', inst_path).astype(np.uint8)
    categories = _read_field(inst, 'Categories', inst_path).ravel()
    class_map = _read_field(cls, 'Segmentation', cls_path).astype(np.uint8)
    if object_map.ndim != 2 or object_map.shape != class_map.shape:
        raise ValueError(
            f'{inst_path}: expected the size of {cls_path}, {class_map.shape}, '
            f'got {object_map.shape}'
        )
    is_object = (object_map > 0) & (object_map != IGNORE)
    count = int(object_map[is_object].max(initial=0))
    if count > len(categories):
        raise ValueError(
            f'{inst_path}: expected a category for object {count}, got {len(categories)} categories'
        )
    wrong = categories[(categories < 1) | (categories > num_classes)]
    if wrong.size:
        raise ValueError(f'{inst_path}: expected categories 1..{num_classes}, got {wrong[0]}')
    wrong = class_map[(class_map > num_classes) & (class_map != IGNORE)]
    if wrong.size:
        raise ValueError(f'{cls_path}: expected classes 0..{num_classes} or 255, got {wrong[0]}')
    true_map = class_map.copy()
    true_map[is_object] = categories.astype(np.uint8)[object_map[is_object] - 1]
    return object_map, true_map, not np.array_equal(true_map, class_map)


def _read_struct(path: Path, name: str) -> np.void:
    if not path.is_file():
        raise FileNotFoundError(f'{path}: no such file')
    data = path.read_bytes()
    try:
        _check_sums(data)
        content = loadmat(io.BytesIO(data), variable_names=[name])[name][0, 0]
    except Exception as error:  # scipy's errors for broken files have no common base class
        raise ValueError(f'{path}: expected a .mat file with {name}, {error!r:.200}') from error
    if not isinstance(content, np.void):
        raise ValueError(f'{path}: expected a struct {name}, got {content!r:.60}')
    return content


def _check_sums(data: bytes) -> None:
    """Check the compressed parts of a .mat file, as scipy does not: it can crash on broken ones.

    Layout: 128 bytes of header, whose last two give the byte order, then parts with their type and
    length, 15 = compressed (MAT-File Format, MathWorks).

    Raises:
        zlib.error: a part is broken.
    """
    order = '<' if data[126:128] == b'IM' else '>'
    place = 128
    while place + 8 <= len(data):
        kind, length = struct.unpack_from(f'{order}II', data, place)
        if kind != 15:
            return
        zlib.decompress(data[place + 8 : place + 8 + length])
        place += 8 + length


def _read_field(content: np.void, name: str, path: Path) -> np.ndarray:
    if name not in (content.dtype.names or ()):
        raise ValueError(f'{path}: expected a field {name}, got {content.dtype.names}')
    values = content[name]
    if not isinstance(values, np.ndarray) or values.dtype.kind not in 'uif':
        raise ValueError(f'{path}: expected numbers in {name}, got {values!r:.60}')
    return values


def _carry_over(voc_root: Path, folder: Path, *, copy: bool) -> None:
    """Link or copy the content of VOC's folder; make new folders for images, maps and lists."""
    for part in (_IMAGES, *_MAP_FOLDERS):
        (folder / part).mkdir()
        if not (voc_root / part).is_dir():
            raise FileNotFoundError(f'{voc_root / part}: no such folder')
        for path in (voc_root / part).iterdir():
            link_or_copy(path, folder / part / path.name, copy=copy)
    for path in (voc_root / _LISTS).iterdir():
        link_or_copy(path, folder / _LISTS / path.name, copy=True)
    (folder / _LISTS / 'train_aug.txt').unlink(missing_ok=True)
    others = [path for path in voc_root.iterdir() if path.name != _LISTS.parts[0]]
    others += [path for path in (voc_root / _LISTS.parts[0]).iterdir() if path.name != _LISTS.name]
    for path in others:
        target = folder / path.relative_to(voc_root)
        if not target.exists() and not path.name.startswith('.'):
            link_or_copy(path, target, copy=copy)
