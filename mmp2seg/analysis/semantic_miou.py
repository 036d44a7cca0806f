"""Compare a folder of semantic maps with the true maps."""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from mmp2seg.analysis.tables import format_table
from mmp2seg.converters.coco_maps import draw_semantic_map
from mmp2seg.files.image_folder import find_png_maps, relative_stem, shorten_names
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou, per_class_iou


@dataclasses.dataclass(frozen=True)
class SemanticScores:
    """Figures of a folder of maps, over the pixels that the truth does not ignore.

    Attributes:
        matrix: (K + 1, K + 2) int64 pixels, row = true, column = predicted value; the last column
            counts the pixels that the prediction ignores, which are errors of their true class.
        num_maps: number of compared pairs of maps.
        skipped: a line per skipped map: file and reason.
    """

    matrix: np.ndarray
    num_maps: int
    skipped: tuple[str, ...] = ()

    @property
    def miou(self) -> float:
        """Mean IoU of background and classes that occur, in 0..1; nan if none occurs."""
        return mean_iou(self.matrix)

    @property
    def class_iou(self) -> np.ndarray:
        """(K + 1,) in 0..1, background first; nan for classes that do not occur."""
        return per_class_iou(self.matrix)

    @property
    def class_accuracy(self) -> np.ndarray:
        """(K + 1,) share of each class's true pixels that are predicted; nan without any."""
        with np.errstate(invalid='ignore'):
            return np.diagonal(self.matrix) / self.matrix.sum(1)

    @property
    def pixel_accuracy(self) -> float:
        """Share of correct pixels; nan without pixels."""
        return _share(np.trace(self.matrix), self.matrix.sum())

    @property
    def ignored_share(self) -> float:
        """Share of all pixels that the prediction ignores; nan without pixels."""
        return _share(self.matrix[:, -1].sum(), self.matrix.sum())

    def as_json(self, class_names: Sequence[str]) -> dict:
        """Return all figures as plain json types, with None for nan."""
        values = zip(
            ['background', *class_names],
            self.class_iou.tolist(),
            self.class_accuracy.tolist(),
            self.matrix.sum(1).tolist(),
            strict=True,
        )
        return dict(
            num_maps=self.num_maps,
            miou=_or_none(self.miou),
            pixel_accuracy=_or_none(self.pixel_accuracy),
            ignored_share=_or_none(self.ignored_share),
            classes=[
                dict(name=name, iou=_or_none(iou), accuracy=_or_none(accuracy), num_pixels=pixels)
                for name, iou, accuracy, pixels in values
            ],
            skipped=list(self.skipped),
        )

    def as_text(self, class_names: Sequence[str]) -> str:
        """Format a table of the classes that occur and the overall figures, in percent."""
        figures = self.as_json(class_names)
        rows = [
            [entry['name'], *map(_percent, (entry['iou'], entry['accuracy'])), entry['num_pixels']]
            for entry in figures['classes']
            if entry['iou'] is not None
        ]
        table = format_table(
            ['class', 'IoU', 'accuracy', 'true pixels'], [list(map(str, row)) for row in rows]
        )
        lines = [
            f'mIoU of {len(rows)} classes, background included: {_percent(figures["miou"])}',
            f'pixel accuracy: {_percent(figures["pixel_accuracy"])}',
            f'pixels without prediction (255): {_percent(figures["ignored_share"])}',
            f'maps: {self.num_maps}',
        ]
        if self.skipped:
            lines += [f'skipped: {len(self.skipped)}', *(f'  {line}' for line in self.skipped)]
        return '\n'.join([table, '', *lines])


def compare_semantic_folders(
    pred_dir: str | Path,
    gt_dir: str | Path,
    *,
    num_classes: int,
    names: Sequence[str] | None = None,
    skip_missing: bool = False,
    track: Callable[[Iterable], Iterable] = iter,
) -> SemanticScores:
    """Compare the PNG maps of a folder with the true maps of the same names, pair by pair.

    Args:
        pred_dir: folder of maps: 0 background, k + 1 = class k, 255 = no prediction.
        gt_dir: folder of true maps; their value 255 is ignored.
        num_classes: number K of classes without background.
        names: of the maps, without suffix; None takes all PNGs of both folders.
        skip_missing: skip maps that are missing, unreadable or of another size, and list them,
            instead of raising.
        track: function that wraps the list of names, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: for a missing folder, or missing maps.
        ValueError: if there is nothing to compare; for a broken map, another size, or a value that
            is not a class; the message names the file.
    """
    pred_dir, gt_dir = Path(pred_dir), Path(gt_dir)
    found = {folder: find_png_maps(folder) for folder in (pred_dir, gt_dir)}
    names = sorted(set().union(*found.values())) if names is None else list(names)
    skipped = []
    for folder, maps in found.items():
        missing = [name for name in names if name not in maps]
        if missing and not skip_missing:
            raise FileNotFoundError(
                f'{folder}: {len(missing)} of {len(names)} maps are missing: '
                f'{shorten_names(missing)} (--image-set lists the maps to compare, --skip-missing '
                'skips missing ones)'
            )
        skipped += [f'{folder / name}.png: no such file' for name in missing]
    pairs = [name for name in names if all(name in maps for maps in found.values())]
    if not pairs:
        raise ValueError(f'{pred_dir}, {gt_dir}: expected maps of the same names, got none')
    matrix, num_maps = np.zeros((num_classes + 1, num_classes + 2), np.int64), 0
    for name in track(pairs):
        paths = [found[folder][name] for folder in (pred_dir, gt_dir)]
        try:
            pred, target = _read_pair(*paths)
        except ValueError as error:
            if not skip_missing:
                raise
            skipped.append(str(error))
            continue
        try:
            matrix += confusion_matrix(pred, target, num_classes=num_classes)
        except ValueError as error:
            raise ValueError(f'{paths[0]} (pred), {paths[1]} (target): {error}') from error
        num_maps += 1
    return SemanticScores(matrix, num_maps, tuple(skipped))


def compare_drawn_masks(labels: dict, gt_dir: str | Path) -> SemanticScores:
    """Compare the semantic maps that the masks of a label json draw with the true maps.

    A pixel has the class of the smallest mask that covers it, and is background without one.

    Args:
        labels: content of a json with RLE masks, see :mod:`mmp2seg.pseudo_labels.coco_json`.
        gt_dir: folder with ``<name of the image>.png`` for each image: 0 background, ``k + 1`` the
            ``k``-th category in the order of ids, 255 ignore.

    Raises:
        FileNotFoundError: a map is missing.
        ValueError: a map is malformed or has another size than its image; the message names it.
    """
    values = {id_: k for k, id_ in enumerate(sorted(c['id'] for c in labels['categories']), 1)}
    matrix = np.zeros((len(values) + 1, len(values) + 2), np.int64)
    annotations = defaultdict(list)
    for annotation in labels['annotations']:
        annotations[annotation['image_id']].append(annotation)
    for image in labels['images']:
        path = Path(gt_dir, f'{relative_stem(image["file_name"])}.png')
        of_image = annotations[image['id']]
        drawn, _ = draw_semantic_map(
            [ann['segmentation'] for ann in of_image],
            [values[ann['category_id']] for ann in of_image],
            crowds=[],
            size=(image['height'], image['width']),
        )
        try:
            matrix += confusion_matrix(drawn, read_index_png(path), num_classes=len(values))
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from error
    return SemanticScores(matrix, len(labels['images']))


def _read_pair(pred_path: Path, gt_path: Path) -> tuple[np.ndarray, np.ndarray]:
    pred, target = read_index_png(pred_path), read_index_png(gt_path)
    if pred.shape != target.shape:
        sizes = [f'{shape[1]} x {shape[0]}' for shape in (target.shape, pred.shape)]
        raise ValueError(f'{pred_path}: expected {sizes[0]} like {gt_path}, got {sizes[1]}')
    return pred, target


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else math.nan


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _percent(value: float | None) -> str:
    return '-' if value is None else f'{100 * value:.2f}'
