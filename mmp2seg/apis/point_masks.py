"""Masks for the points of a folder of images, without training: json, semantic maps, pictures."""

import hashlib
import inspect
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.network_maps import NetworkMaps
from mmp2seg.apis.point_result import result_of_segmentation
from mmp2seg.codecs import DROP_REASONS
from mmp2seg.datasets.point_supervision import all_objects_have_masks, read_given_mask
from mmp2seg.files.image_folder import relative_stem
from mmp2seg.files.image_reading import read_rgb
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.files.journal import Journal
from mmp2seg.files.json_reading import is_integer, read_json
from mmp2seg.models.pretrained import (
    PretrainedWeightsError,
    init_weights_quietly,
    require_pretrained,
)
from mmp2seg.pseudo_labels.coco_json import assemble
from mmp2seg.pseudo_labels.shards import ImageEntries, LabelCounts, write_labels
from mmp2seg.registry import MODELS
from mmp2seg.segmenters import PointSegmentation
from mmp2seg.segmenters.class_head_training import ClassHeadTraining, PointImage
from mmp2seg.segmenters.given_masks import GivenOfPoints, with_given_masks
from mmp2seg.version import __version__
from mmp2seg.visualization.mask_pictures import draw_point_masks
from mmp2seg.visualization.panels import picture_path, write_png

_MAX_CLASSES = 254  # 255 is ignore


@dataclass(frozen=True)
class MaskRun:
    """What :func:`write_point_masks` did.

    Attributes:
        counts: numbers of images, masks and points without a mask.
        num_before: images that an interrupted run had finished.
        seconds: time for the other images.
        outfile: the json; None: none was written.
        content: content of the json, if none was written.
    """

    counts: LabelCounts
    num_before: int
    seconds: float
    outfile: str | Path | None
    content: dict[str, Any] | None = None

    @property
    def labels(self) -> dict[str, Any]:
        """Content of the json; it is read at each access."""
        return read_json(self.outfile) if self.content is None else self.content

    def describe(self, outfile: str) -> str:
        """Return a summary for the terminal."""
        num_images, dropped = self.counts.num_images, self.counts.num_dropped
        lines = [
            f'{outfile}: {self.counts.num_instances} masks in {num_images} images',
            f'points without a mask: {sum(dropped.values())}',
        ]
        lines += [f'  {reason}: {dropped[reason]}' for reason in DROP_REASONS if dropped[reason]]
        num_done = num_images - self.num_before
        if num_done:
            lines.append(f'{self.seconds / num_done:.2f} s per image')
        if self.num_before:
            lines.append(f'{self.num_before} images were finished before')
        return '\n'.join(lines)


def build_point_segmenter(cfg: Config, *, device: str = 'cpu', setting: str = 'model') -> nn.Module:
    """Build the point segmenter of a config, with its weights.

    Args:
        cfg: its ``setting`` is the config of a module whose ``forward`` is a
            :class:`mmp2seg.segmenters.PointSegmentationMethod`.
        device: torch's name of a device.
        setting: key of ``cfg``.

    Raises:
        CommandError: ``cfg`` has another model, or pretrained weights are missing.
    """
    # not the global default scope: it belongs to the caller
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
        model_cfg = cfg.get(setting) or {}
        kind = MODELS.get(model_cfg['type']) if 'type' in model_cfg else None
        if 'points_xy' not in _parameters(getattr(kind, 'forward', None)):
            raise CommandError(
                f'{cfg.filename}: expected {setting} to be a point segmenter, as in '
                f'configs/point_segmenter/efficientnet-lite0.py, got {model_cfg.get("type")}'
            )
        model = MODELS.build(model_cfg)
        try:
            require_pretrained(model, setting=setting)
            init_weights_quietly(model)
        except PretrainedWeightsError as error:
            raise CommandError(str(error)) from error
    return model.to(device).eval()


def set_sam_weights(cfg: Config, weights: str | None) -> None:
    """Set the weights of a config whose ``model`` is :class:`mmp2seg.SamPointSegmenter`, in place.

    Args:
        cfg: config of a point segmenter.
        weights: folder, or name on the Hugging Face hub. None: those of the config stay.

    Raises:
        CommandError: there are weights, and the model is another one.
    """
    if weights is None:
        return
    if cfg.model.get('type') != 'mmp2seg.SamPointSegmenter':
        raise CommandError(
            '--weights: expected a SamPointSegmenter (--segmenter sam), got '
            f'{cfg.model.get("type")}'
        )
    cfg.model.weights = weights


def train_class_head(
    segmenter: nn.Module,
    options: Mapping[str, Any],
    points: Mapping[str, Any],
    images: str | Path,
    *,
    work_dir: str | Path,
) -> None:
    """Train the class head of a segmenter on the images that it will segment.

    Args:
        segmenter: see :func:`build_point_segmenter`.
        options: of :class:`mmp2seg.segmenters.class_head_training.ClassHeadTraining`.
        points: content of a point json.
        images: folder of the images.
        work_dir: folder of the trainings' logs.

    Raises:
        FileNotFoundError, ValueError: an image is missing or does not fit ``points``, or there are
            no points.
    """
    ClassHeadTraining(**options).fit(
        segmenter,
        _PointImages(points, Path(images)),
        num_classes=len(points['categories']),
        work_dir=str(work_dir),
    )


def write_point_masks(
    segmenter: nn.Module,
    points: Mapping[str, Any],
    images: str | Path,
    *,
    outfile: str | Path | None = None,
    maps: str | Path | None = None,
    pictures: str | Path | None = None,
    object_size: float | None = None,
    network: NetworkMaps | None = None,
    info: Mapping[str, Any] | None = None,
    track: Callable[[list], Iterable] = iter,
) -> MaskRun:
    """Segment the images of a point json one after the other, and write what was found.

    Files are written atomically. The results of finished images are kept in ``<outfile>.partial``
    until the json is complete: after an interruption, the same call goes on where it stopped. With
    ``outfile``, memory holds the masks of one image.

    Args:
        segmenter: see :func:`build_point_segmenter`.
        points: content of a point json; see
            :func:`mmp2seg.converters.points_file.read_points`. Its ids are kept, and so are true
            masks; masks end at true boxes (:mod:`mmp2seg.datasets.point_supervision`).
        images: folder of the images.
        outfile: the pseudo label json. None: write none, and start from the beginning.
        maps: folder of semantic maps ``<name of the image>.png``: 0 background, ``k + 1`` class k,
            255 not sure. None: write none.
        pictures: folder of pictures, see :func:`mmp2seg.visualization.panels.picture_path`. None:
            draw none.
        object_size: diameter of a typical object in pixels of the images. None: estimate it.
        network: a trained network whose maps are a second prior of the segmenter; None: there is
            none.
        info: entries of the json's ``info``; a run with other entries starts from the beginning.
        track: function that wraps the list of the images to do, e.g. to show a progress bar.

    Raises:
        FileNotFoundError: an image is missing.
        ValueError: an image cannot be read or has another size than in ``points``, ids are not
            whole numbers, there are too many classes, or two images would have the same map; the
            message names the file. Or the segmenter reads no ``object_size`` or no maps.
        OSError: a file cannot be written.
    """
    _check_points(points, with_maps=maps is not None)
    writer = _Writer(segmenter, points, Path(images), maps, pictures, object_size, network)
    info = {
        'description': 'masks from points, without training',
        'version': f'mmp2seg {__version__}',
        **(info or {}),
        'object_size': object_size,
    }
    if outfile is None:
        start = time.monotonic()
        entries = {image['id']: writer.write(image) for image in track(list(points['images']))}
        return _in_memory(points, entries, info, time.monotonic() - start)
    places = {'images': images, 'maps': maps, 'pictures': pictures}
    plan = {
        'info': info,
        'points': hashlib.sha256(json.dumps(points).encode()).hexdigest(),
        **{key: place and str(Path(place).resolve()) for key, place in places.items()},
    }
    with Journal(f'{outfile}.partial', plan) as journal:
        left = [image for image in points['images'] if image['id'] not in journal.entries]
        start = time.monotonic()
        for image in track(left):
            journal.add(image['id'], writer.write(image))
        seconds = time.monotonic() - start
        in_order = sorted(points['images'], key=lambda image: image['id'])
        counts = write_labels(
            outfile,
            lambda: (ImageEntries(image, *journal.entries[image['id']]) for image in in_order),
            images=points['images'],
            categories=points['categories'],
            info=info,
        )
        journal.remove()
    return MaskRun(counts, len(points['images']) - len(left), seconds, outfile)


def require_options(segmenter: nn.Module, names: Iterable[str]) -> None:
    """Check that a point segmenter takes some arguments beside image and points.

    Raises:
        ValueError: it does not take one of them.
    """
    parameters = inspect.signature(segmenter.forward).parameters
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
        return
    for name in names:
        if name not in parameters:
            raise ValueError(f'expected no {name}, which {type(segmenter).__name__} does not read')


def _parameters(function: Callable | None) -> Iterable[str]:
    return () if function is None else inspect.signature(function).parameters


class _PointImages:
    """The images of a point json, read when they are needed."""

    def __init__(self, points: Mapping[str, Any], images: Path) -> None:
        self._content = points['images']
        self._folder = images
        self._category_ids = [category['id'] for category in points['categories']]
        self._annotations: dict[int, list[dict]] = {image['id']: [] for image in self._content}
        for annotation in points['annotations']:
            self._annotations[annotation['image_id']].append(annotation)

    def __iter__(self) -> Iterator[PointImage]:
        return map(self.read, self._content)

    def annotations(self, image: Mapping[str, Any]) -> list[dict]:
        """Return the annotations of an image of the json."""
        return self._annotations[image['id']]

    def given(self, image: Mapping[str, Any]) -> GivenOfPoints | None:
        """Return the true masks and boxes of an image; None: there are none."""
        return given_of_annotations(image, self.annotations(image))

    def read(self, image: Mapping[str, Any]) -> PointImage:
        """Read an image of the json.

        Raises:
            FileNotFoundError, ValueError: it is missing, unreadable or has another size.
        """
        path = self._folder / image['file_name']
        pixels = read_rgb(path)
        if pixels.shape[:2] != (image['height'], image['width']):
            raise ValueError(
                f'{path}: expected {image["width"]} x {image["height"]} pixels (width x height), '
                f'got {pixels.shape[1]} x {pixels.shape[0]}'
            )
        annotations = self.annotations(image)
        return PointImage(
            image_rgb=pixels,
            points_xy=np.array([a['point'] for a in annotations], np.float64).reshape(-1, 2),
            labels=np.array(
                [self._category_ids.index(a['category_id']) for a in annotations], np.int64
            ),
            background_xy=np.array(image.get('background_points', []), np.float64).reshape(-1, 2),
        )


class _Writer:
    """Segments an image and writes its map and its picture."""

    def __init__(
        self,
        segmenter: nn.Module,
        points: Mapping[str, Any],
        images: Path,
        maps: str | Path | None,
        pictures: str | Path | None,
        object_size: float | None,
        network: NetworkMaps | None,
    ) -> None:
        self._segmenter = segmenter
        self._network = network
        self._images = _PointImages(points, images)
        self._maps = maps
        self._pictures = pictures
        self._options = {} if object_size is None else {'object_size': object_size}
        require_options(segmenter, [*self._options, *(['network_maps'] if network else [])])
        self._category_ids = [category['id'] for category in points['categories']]

    def write(self, image: Mapping[str, Any]) -> tuple[list[dict], list[dict]]:
        """Return the annotations and the dropped points of an image."""
        content = self._images.read(image)
        points_xy, labels = content.points_xy, content.labels
        result, given = self._segment(content), self._images.given(image)
        if given is not None:
            result = with_given_masks(result, given, labels=labels)
        if self._maps is not None:
            name = f'{relative_stem(image["file_name"])}.png'
            write_palette_png(Path(self._maps, name), result.semantic_map)
        if self._pictures is not None:
            picture = draw_point_masks(
                content.image_rgb,
                points_xy,
                labels,
                num_classes=len(self._category_ids),
                instance_map=result.instance_map,
                background_xy=content.background_xy,
            )
            write_png(picture_path(self._pictures, image['file_name']), picture)
        found = result_of_segmentation(
            result,
            points_xy=points_xy,
            labels=labels,
            point_ids=np.array([a['id'] for a in self._images.annotations(image)], np.int64),
            given=given,
        )
        return found.to_entries(image['id'], self._category_ids)

    def _segment(self, content: PointImage) -> PointSegmentation:
        if not len(content.points_xy):  # all background; there may even be no class
            size = content.image_rgb.shape[:2]
            return PointSegmentation(
                instance_map=np.zeros(size, np.int32),
                semantic_map=np.zeros(size, np.uint8),
                scores=np.zeros(0, np.float32),
                reasons=(),
            )
        options = dict(self._options)
        if self._network is not None:
            options['network_maps'] = self._network(
                content.image_rgb, points_xy=content.points_xy, labels=content.labels
            )
        return self._segmenter(
            content.image_rgb,
            points_xy=content.points_xy,
            labels=content.labels,
            num_classes=len(self._category_ids),
            background_xy=content.background_xy,
            **options,
        )


def _in_memory(
    points: Mapping[str, Any],
    entries: Mapping[int, tuple[list[dict], list[dict]]],
    info: Mapping[str, Any],
    seconds: float,
) -> MaskRun:
    parts = list(entries.values())
    labels = assemble(
        points['images'],
        points['categories'],
        [annotation for annotations, _ in parts for annotation in annotations],
        [point for _, dropped in parts for point in dropped],
        dict(info),
    )
    reasons = Counter(point['reason'] for point in labels['dropped_points'])
    counts = LabelCounts(len(labels['images']), len(labels['annotations']), reasons)
    return MaskRun(counts, 0, seconds, None, labels)


def given_of_annotations(
    image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]
) -> GivenOfPoints | None:
    """Return the true masks and boxes of an image of a point json; None: there are none.

    Raises:
        ValueError: one is broken, see
            :func:`mmp2seg.datasets.point_supervision.read_given_mask`.
    """
    found = [
        read_given_mask(
            annotation, image=image, where=f'{image["file_name"]}: annotation {annotation["id"]}'
        )
        for annotation in annotations
    ]
    kinds = tuple(kind for kind, _ in found)
    complete = all_objects_have_masks(image, kinds, where=image['file_name'])
    if not complete and all(kind == 'point' for kind in kinds):
        return None
    return GivenOfPoints(kinds, tuple(rle for _, rle in found), complete)


def require_integer_ids(points: Mapping[str, Any], *, where: str | Path = 'points') -> None:
    """Check that the ids of a point json are whole numbers.

    Args:
        points: content of the json.
        where: the file, for errors.

    Raises:
        ValueError: one is not; the message names the place.
    """
    for part in ('images', 'categories', 'annotations'):
        for index, entry in enumerate(points[part]):
            if not is_integer(entry['id']):
                raise ValueError(
                    f'{where}: expected ids that are whole numbers, got {entry["id"]!r:.60} in '
                    f'{part}[{index}]'
                )


def _check_points(points: Mapping[str, Any], *, with_maps: bool) -> None:
    require_integer_ids(points)
    if len(points['categories']) > _MAX_CLASSES:
        raise ValueError(f'expected at most 254 classes, got {len(points["categories"])}')
    if not with_maps:
        return
    images_of: dict[str, str] = {}
    for image in points['images']:
        name = image['file_name']
        first = images_of.setdefault(relative_stem(name), name)
        if first != name:
            raise ValueError(
                f'expected images whose names differ not only in the suffix, as their maps would '
                f'have the same name, got {first} and {name}'
            )
