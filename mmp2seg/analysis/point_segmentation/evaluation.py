"""Score methods that turn points into masks, on images with the truth.

Dimensions: ``H, W`` pixels; ``K`` classes; ``M`` objects.
"""

import dataclasses
import math
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from pycocotools import mask as mask_utils

from mmp2seg.analysis.point_segmentation.truth_images import TruthImage, TruthImages
from mmp2seg.files.image_folder import relative_stem
from mmp2seg.files.index_png import read_index_png
from mmp2seg.ops.components import IGNORE
from mmp2seg.ops.degradation import degrade_semantic_map
from mmp2seg.ops.rle import decode_rle
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou
from mmp2seg.ops.semantic_map import is_scaled, resize_nearest
from mmp2seg.segmenters import PointSegmentation, PointSegmentationMethod

# Words for maps that are made from the truth, instead of a folder of maps.
TRUE_MAPS, DEGRADED_MAPS = 'truth', 'degraded'
_NUM_QUARTERS = 4


@dataclasses.dataclass(frozen=True)
class ImageScores:
    """Figures of a method on one image.

    Attributes:
        name: file name of the image.
        ious: ``(M,)`` float64, IoU of each object with the mask of its point; 0 without a mask.
        areas: ``(M,)`` int64, pixels of each object.
        touching: ``(M,)`` bool, see :class:`~.truth_images.TruthImage`.
        num_void: objects and crowds that are not compared.
        miou: mean IoU of the image's semantic map; nan if all its pixels are void.
        seconds: duration of the method's call.
    """

    name: str
    ious: np.ndarray
    areas: np.ndarray
    touching: np.ndarray
    num_void: int
    miou: float
    seconds: float

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the objects; nan without objects."""
        return _mean(self.ious)


class MethodScores:
    """Figures of a method, image by image and over all images.

    Args:
        num_classes: ``K``.

    Attributes:
        images: the figures of each image, in the order in which they were added.
        matrix: ``(K + 1, K + 2)`` int64 pixels of all images, see
            :func:`~mmp2seg.ops.semantic_iou.confusion_matrix`, of the method's best guess of each
            pixel.
        sure_matrix: the same without the pixels where the method is not sure.
    """

    def __init__(self, num_classes: int) -> None:
        self.images: list[ImageScores] = []
        self.matrix = np.zeros((num_classes + 1, num_classes + 2), np.int64)
        self.sure_matrix = np.zeros_like(self.matrix)

    def add(self, truth: TruthImage, result: PointSegmentation, *, seconds: float) -> None:
        """Compare the result of an image with the truth.

        Raises:
            ValueError: a map of the result has another size than the image, or a semantic map a
                value that is no class.
        """
        _check_sizes(result, truth.semantic_map.shape)
        num_classes = len(self.matrix) - 1
        best = result.semantic_map if result.semantic_argmax is None else result.semantic_argmax
        matrix = confusion_matrix(best, truth.semantic_map, num_classes=num_classes)
        sure = np.where(result.semantic_map == IGNORE, IGNORE, truth.semantic_map)
        self.matrix += matrix
        self.sure_matrix += confusion_matrix(best, sure, num_classes=num_classes)
        self.images.append(
            ImageScores(
                name=truth.name,
                ious=object_ious(result.instance_map, truth),
                areas=np.asarray(mask_utils.area(truth.object_rles), np.int64),
                touching=truth.object_touching,
                num_void=truth.num_void,
                miou=mean_iou(matrix),
                seconds=seconds,
            )
        )

    def figures(self) -> dict[str, float]:
        """Compute the figures over all images.

        Returns:
            dict: ``miou``: mean IoU of the best guesses, over background and the classes that
            occur; ``mean_iou``: of the objects; ``mean_iou_quarter1`` to ``4``: of the quarter of
            the objects with the smallest areas, ... the largest; ``mean_iou_touching``;
            ``share_iou50``: of the objects with an IoU above .5; ``unsure_share``: of the pixels;
            ``miou_sure``: mean IoU of the other pixels; ``seconds``: mean per image. nan for a mean
            of nothing.
        """
        ious, areas, touching = (
            np.concatenate([getattr(image, name) for image in self.images] or [np.zeros(0)])
            for name in ('ious', 'areas', 'touching')
        )
        quarters = np.array_split(ious[np.argsort(areas, kind='stable')], _NUM_QUARTERS)
        num_pixels, num_sure = self.matrix.sum(), self.sure_matrix.sum()
        return dict(
            miou=mean_iou(self.matrix),
            mean_iou=_mean(ious),
            **{f'mean_iou_quarter{k}': _mean(of_k) for k, of_k in enumerate(quarters, start=1)},
            mean_iou_touching=_mean(ious[touching.astype(bool)]),
            share_iou50=_mean(ious > 0.5),
            unsure_share=float(1 - num_sure / num_pixels) if num_pixels else math.nan,
            miou_sure=mean_iou(self.sure_matrix),
            seconds=_mean([image.seconds for image in self.images]),
        )

    def worst(self, num: int) -> list[int]:
        """Return the indices of up to ``num`` images with the lowest mean IoU of their objects."""
        means = np.array([image.mean_iou for image in self.images])
        return [int(index) for index in np.argsort(means) if not math.isnan(means[index])][:num]


def evaluate(
    methods: Mapping[str, PointSegmentationMethod],
    images: TruthImages,
    *,
    maps: str | Path = DEGRADED_MAPS,
    track: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> dict[str, MethodScores]:
    """Run methods on images, one image at a time, and score them.

    Args:
        methods: methods by name.
        images: the images, with points and truth.
        maps: see :func:`given_map`.
        track: function that wraps the indices of the images, e.g. to show a progress bar.

    Returns:
        dict: scores by name.

    Raises:
        FileNotFoundError: an image or a map is missing.
        ValueError: a file is malformed, or a method refuses an image or returns a wrong map; the
            message names the file, the image and the method.
    """
    scores = {name: MethodScores(len(images.classes)) for name in methods}
    for index in track(range(len(images))):
        truth = images[index]
        for name, method in methods.items():
            try:
                start = time.perf_counter()
                result = segment(method, truth, num_classes=len(images.classes), maps=maps)
                scores[name].add(truth, result, seconds=time.perf_counter() - start)
            except ValueError as error:
                raise ValueError(f'{truth.place}: method {name}: {error}') from error
    return scores


def segment(
    method: PointSegmentationMethod, truth: TruthImage, *, num_classes: int, maps: str | Path
) -> PointSegmentation:
    """Call a method with the points of an image, and with a semantic map if it uses one."""
    more = {}
    if getattr(method, 'uses_semantic_map', False):
        more = dict(semantic_map=given_map(truth, maps, num_classes=num_classes))
    return method(
        truth.image_rgb,
        points_xy=truth.points_xy,
        labels=truth.labels,
        num_classes=num_classes,
        background_xy=truth.background_xy,
        **more,
    )


def given_map(truth: TruthImage, maps: str | Path, *, num_classes: int) -> np.ndarray:
    """Return the semantic map that is given to methods that use one.

    Args:
        truth: the image.
        maps: ``'truth'``: the true map; ``'degraded'``: the true map after
            :func:`~mmp2seg.ops.degradation.degrade_semantic_map`, seeded by the image's name;
            otherwise a folder of maps named ``<name of the image>.png``, which may have another
            scale than the image.
        num_classes: ``K``.

    Returns:
        np.ndarray: ``(H, W)`` uint8, 0 background, ``k + 1`` class ``k``, 255 no prediction.

    Raises:
        FileNotFoundError: the map is missing.
        ValueError: the map is malformed or has other proportions than the image; the message names
            the file.
    """
    if maps == TRUE_MAPS:
        return truth.semantic_map
    if maps == DEGRADED_MAPS:
        rng = np.random.default_rng([0, zlib.crc32(relative_stem(truth.name).encode())])
        return degrade_semantic_map(truth.semantic_map, num_classes=num_classes, rng=rng)
    path = Path(maps, f'{relative_stem(truth.name)}.png')
    semantic_map, size = read_index_png(path), truth.semantic_map.shape
    if not (is_scaled(semantic_map.shape, size) or is_scaled(size, semantic_map.shape)):
        raise ValueError(
            f'{path}: expected the proportions of the image, {size[1]} x {size[0]}, '
            f'got {semantic_map.shape[1]} x {semantic_map.shape[0]}'
        )
    return resize_nearest(semantic_map, size)


def object_ious(instance_map: np.ndarray, truth: TruthImage) -> np.ndarray:
    """Compute the IoU of each object with the mask of its point.

    Args:
        instance_map: ``(H, W)`` integers, 0 = none, ``k + 1`` = the mask of point ``k``.
        truth: the image.

    Returns:
        np.ndarray: ``(M,)`` float64; 0 for an object whose point has no mask.
    """
    areas = np.bincount(instance_map.ravel(), minlength=len(truth.points_xy) + 1)
    ious = np.zeros(len(truth.object_rles))
    for index, (rle, point) in enumerate(zip(truth.object_rles, truth.object_points)):
        if point < 0 or areas[point + 1] == 0:
            continue
        of_object = instance_map[decode_rle(rle)]
        common = np.count_nonzero(of_object == point + 1)
        ious[index] = common / (len(of_object) + areas[point + 1] - common)
    return ious


def _check_sizes(result: PointSegmentation, size: tuple[int, int]) -> None:
    for name in ('instance_map', 'semantic_map', 'semantic_argmax'):
        found = getattr(result, name)
        if found is not None and found.shape != size:
            raise ValueError(f'expected {name} of the shape {size}, got {found.shape}')


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
