"""P2SegInferencer: masks for the points of images, from Python."""

import contextlib
import dataclasses
import inspect
import itertools
import operator
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer
from torch import Tensor, nn

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.config_names import resolve_config
from mmp2seg.apis.device import resolve_device
from mmp2seg.apis.point_masks import (
    build_point_segmenter,
    given_of_annotations,
    require_integer_ids,
    require_options,
)
from mmp2seg.apis.point_result import (
    ImageSource,
    PointResult,
    result_of_sample,
    result_of_segmentation,
)
from mmp2seg.apis.predictions import model_classes
from mmp2seg.apis.pseudo_labels import stage1_model
from mmp2seg.apis.runner import load_config
from mmp2seg.apis.stage1_network import Stage1Network
from mmp2seg.codecs import AssignmentMemo
from mmp2seg.converters.points_file import read_points
from mmp2seg.datasets.class_list import class_names
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.image_folder import relative_stem, shorten_names
from mmp2seg.files.image_reading import read_rgb
from mmp2seg.files.index_png import read_index_png
from mmp2seg.files.weights_only import weights_only
from mmp2seg.models.detectors.p2seg import ImageMaps
from mmp2seg.ops.image_edge import onto_last_pixel
from mmp2seg.ops.rle import encode_rle
from mmp2seg.ops.semantic_map import count_values, is_scaled, resize_nearest
from mmp2seg.segmenters import PointSegmentation
from mmp2seg.segmenters.given_masks import GivenOfPoints, with_given_masks
from mmp2seg.visualization.panels import picture_path, write_png
from mmp2seg.visualization.windows import show_picture

Image = str | Path | npt.NDArray[np.uint8]
Map = str | Path | npt.NDArray[np.uint8]

# Frames of an image that are kept besides the newest: clicking and undoing changes
# between two.
_KEPT_FRAMES = 2
# The same for the sets of classes whose maps are kept.
_KEPT_CLASSES = 2
_IGNORE = 255
_MAX_CLASSES = 254  # 255 is ignore
# Arguments of a point segmenter that a semantic map can be given as.
_MAP_OPTIONS = {'semantic_map', 'network_maps'}
# Images with more pixels keep no affinity weights, which take 96 bytes per pixel.
_MAX_WEIGHTED_PIXELS = 2_000_000
# mmengine's default scope is global: two inferencers that are built at once would mix it up.
_BUILDING = threading.Lock()


@dataclasses.dataclass
class _Request:
    """An image and its points, as the caller gave them."""

    image: Image
    points: npt.ArrayLike
    labels: Any = None
    semantic_map: Map | None = None
    background_points: npt.ArrayLike | None = None
    file_name: str | None = None
    image_id: int | None = None
    point_ids: Sequence[int] | None = None
    given: GivenOfPoints | None = None


@dataclasses.dataclass
class _Look:
    """An image, and what does not depend on its points."""

    pixels: npt.NDArray[Any]  # (H, W, 3) as the network's pipeline loads it, or RGB
    source: ImageSource
    semantic_map: npt.NDArray[np.uint8] | None
    batch: dict | None = None  # input of the network without points
    raw_maps: tuple[Tensor | None, ...] | None = None
    # maps in the image's frame by the classes of the points, and what their decoding shares
    maps: dict[tuple[int, ...], tuple[ImageMaps, AssignmentMemo | None]] = dataclasses.field(
        default_factory=dict
    )
    keeps: bool = False  # further points will come
    weights: dict | None = None  # of the affinity, see AssignmentMemo
    frames: dict = dataclasses.field(default_factory=dict)  # of the point segmenter
    image_rgb: npt.NDArray[np.uint8] | None = None  # for the point segmenter

    @property
    def size(self) -> tuple[int, int]:
        return self.pixels.shape[0], self.pixels.shape[1]


class P2SegInferencer:
    """Find a mask for each point of an image, with a stage-1 network or without training.

    ::

        inferencer = P2SegInferencer('point_segmenter/efficientnet-lite0')
        result = inferencer('photo.jpg', points=[(120, 80), (300, 95)], labels=['cat', 'dog'])
        result.masks  # (M, H, W) bool
        result.dropped  # points without a mask, with reasons

    Points are ``(x, y)`` in pixels of the image, continuous: the centre of pixel (column, row) is
    ``(column + .5, row + .5)``. Images as arrays are ``(H, W, 3)`` uint8 in the order BGR, as
    mmdet and OpenCV load them; grey ``(H, W)`` is accepted, and so is alpha, which is ignored. A
    path can be any image that OpenCV reads.

    Several threads can call one inferencer at once. :meth:`set_image` and :meth:`predict` share an
    image and belong to one thread.

    Args:
        config: path of a config, name of one of the package (``p2seg/tiny_shapes``,
            ``p2seg_tiny_shapes``), or a config. Its model is the detector of stage 1, or a
            :class:`mmp2seg.segmenters.PointSegmenter`, which needs no checkpoint.
        checkpoint: path or address of the weights of stage 1.
        device: a device of torch or its name. None: CUDA if there is one, else the CPU.
        classes: names of the classes. None: those of the checkpoint, or else of the config. A point
            segmenter has none of its own: a name gets the next number when it is first used.
        maps_from_points: make the semantic map of an image without one by the ``point_segmenter``
            of the config, if the network reads maps, as ``mmp2seg predict`` does. False: the
            network alone.

    Raises:
        ValueError: there is no such config, its model takes no points, the checkpoint is missing,
            does not fit or holds more than weights, or the number of classes differs from the
            model's.
    """

    def __init__(
        self,
        config: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        *,
        classes: Sequence[str] | None = None,
        maps_from_points: bool = True,
    ) -> None:
        self._device = _checked_device(device)
        self._network: Stage1Network | None = None
        self._segmenter: nn.Module | None = None
        self._options: frozenset[str] = frozenset()  # arguments of the segmenter
        self._look: _Look | None = None
        with _BUILDING, weights_only(), _user_errors():
            cfg = config if isinstance(config, Config) else load_config(resolve_config(config))
            if _is_network(cfg):
                self._load_network(cfg, checkpoint, classes, maps_from_points)
            else:
                self._load_segmenter(cfg, checkpoint, classes)

    def _load_network(
        self,
        cfg: Config,
        checkpoint: str | Path | None,
        classes: Sequence[str] | None,
        maps_from_points: bool,
    ) -> None:
        if checkpoint is None:
            raise ValueError(
                f'{cfg.filename or "config"}: expected a checkpoint, as its model is a network; '
                "masks without one: P2SegInferencer('point_segmenter/efficientnet-lite0')"
            )
        network = Stage1Network(cfg, checkpoint, device=self._device)
        names = network.trained_classes if classes is None else class_names(classes)
        if names is None:
            names = model_classes(cfg, [f'class {k}' for k in range(network.num_classes)])
        if len(names) != network.num_classes:
            raise ValueError(
                f'expected {network.num_classes} classes, as the model has, got '
                f'{shorten_names(list(names))}'
            )
        self._network = network
        self._classes, self._takes_new_classes = class_names(names), False
        self._reads_maps = bool((stage1_model(cfg).get('test_cfg') or {}).get('use_weak_map'))
        if maps_from_points and self._reads_maps and cfg.get('point_segmenter') is not None:
            self._set_segmenter(
                build_point_segmenter(cfg, device=self._device, setting='point_segmenter')
            )

    def _set_segmenter(self, segmenter: nn.Module) -> None:
        self._segmenter = segmenter
        self._options = frozenset(inspect.signature(segmenter.forward).parameters)

    def _load_segmenter(
        self, cfg: Config, checkpoint: str | Path | None, classes: Sequence[str] | None
    ) -> None:
        if 'class_head_training' in cfg:
            raise ValueError(
                f'{cfg.filename or "config"}: expected a config without class_head_training, which '
                'trains on many images: use mmp2seg masks --config'
            )
        if checkpoint is not None:
            raise ValueError(
                f'{cfg.filename or "config"}: expected no checkpoint, got {checkpoint}'
            )
        self._set_segmenter(build_point_segmenter(cfg, device=self._device))
        self._classes, self._takes_new_classes = (
            class_names(() if classes is None else classes),
            classes is None,
        )
        self._reads_maps = not _MAP_OPTIONS.isdisjoint(self._options)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        return tuple(self._classes)

    @property
    def reads_background_points(self) -> bool:
        """Whether the model looks at clicks on background: a point segmenter does."""
        return self._segmenter is not None

    def set_image(self, image: Image, semantic_map: Map | None = None) -> None:
        """Look at an image, so that :meth:`predict` needs no pass of the network.

        The network's maps are kept until the next call, and so are the weights of its affinity and
        the result of each part of the image, which a click elsewhere does not change. A point
        segmenter keeps the image and, by the scale it sees the image at, its features; the scale
        depends on the points, or on ``object_size`` alone.

        Args:
            image: path, or an array, see :class:`P2SegInferencer`.
            semantic_map: path of a PNG, or ``(H, W)`` uint8: 0 background, ``k + 1`` class k, 255
                not sure. None: there is none, see ``maps_from_points``.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file or an array is not an image or a map, the map has another size or
                value, or the model reads no maps.
        """
        self._look = None  # free its memory first
        look = self._look_at(_Request(image, (), semantic_map=semantic_map))
        self._run_network([look])
        look.keeps = True
        if look.size[0] * look.size[1] <= _MAX_WEIGHTED_PIXELS:
            look.weights = {}
        self._look = look

    def predict(
        self,
        points: npt.ArrayLike,
        labels: Any = None,
        background_points: npt.ArrayLike | None = None,
        *,
        object_size: float | None = None,
        masks: Sequence[npt.NDArray[np.bool_] | None] | None = None,
        boxes: Sequence[Sequence[float] | None] | None = None,
    ) -> PointResult:
        """Find the masks of points of the image of :meth:`set_image`.

        Args:
            points: ``(N, 2)`` floats, all points of the image. Points outside it and repeated
                points are reported as dropped.
            labels: N numbers ``0..K-1`` or names of classes, or one for all points. None: there
                is only one class.
            background_points: ``(B, 2)`` clicks on background; read by the point segmenter.
            object_size: diameter of a typical object in pixels, for the point segmenter. None: the
                distance to the nearest other point.
            masks: for each point its true mask, ``(H, W)`` bool, or None. The result keeps it, and
                no other point gets its pixels.
            boxes: for each point a box ``(x, y, width, height)`` that its mask ends at, as in a
                points file, or None. The mask of a point that has both counts.

        Returns:
            PointResult: of all points.

        Raises:
            ValueError: there is no image, points are not pairs of finite numbers, a label is no
                class, a mask or a box does not fit, or an argument is for the point segmenter and
                there is none.
        """
        if self._look is None:
            raise ValueError('expected an image: call set_image first')
        return self._predict(
            self._look,
            _Request(
                '',
                points,
                labels,
                background_points=background_points,
                given=_given(points, masks, boxes, self._look.size),
            ),
            object_size,
        )

    def __call__(
        self,
        inputs: Image | Sequence[Image],
        points: Any,
        labels: Any = None,
        *,
        semantic_map: Any = None,
        background_points: Any = None,
        object_size: float | None = None,
        batch_size: int = 1,
        skip_refused: bool = False,
        return_datasamples: bool = False,
        show: bool = False,
        wait_time: float = 0.0,
        out_dir: str | Path | None = None,
        no_save_vis: bool = False,
        no_save_pred: bool = False,
    ) -> Any:
        """Find the masks of the points of one or several images; see also :meth:`stream`.

        Args:
            inputs: a path, an array (BGR), a list of these, or a folder.
            points: see :meth:`predict`. For a list, one entry per image; for a folder, the points
                file.
            labels: see :meth:`predict`. For a list, one entry per image, or one class for all; for
                a folder, None.
            semantic_map: see :meth:`set_image`. For a list, one entry per image; for a folder, the
                folder of the maps.
            background_points: see :meth:`predict`. For a list, one entry per image; for a folder,
                None: they are in the points file.
            object_size: see :meth:`predict`.
            batch_size: see :meth:`stream`.
            skip_refused: see :meth:`stream`.
            return_datasamples: return mmdet's data samples.
            show: show each picture in a window, or below a notebook's cell. Without a display, a
                warning says so, and nothing is shown.
            wait_time: seconds to show each picture; 0: until the space key is pressed.
            out_dir: folder for ``vis/<image>.png``, a picture, and ``preds/<image>.json``, the
                content of :meth:`PointResult.to_coco`.
            no_save_vis: write no pictures.
            no_save_pred: write no jsons.

        Returns:
            PointResult, or DetDataSample with ``return_datasamples``; a list of them for a list or
            a folder.

        Raises:
            FileNotFoundError, ValueError: see :meth:`set_image`, :meth:`predict` and
                :meth:`stream`.
        """
        if isinstance(inputs, str | Path):
            is_single = not Path(inputs).is_dir()
        else:
            is_single = isinstance(inputs, np.ndarray) or not isinstance(inputs, Iterable)
        if is_single:
            request = _Request(inputs, points, labels, semantic_map, background_points)
            results = self._results([request], object_size, batch_size)
        else:
            results = self.stream(
                inputs,
                points,
                labels,
                semantic_maps=semantic_map,
                background_points=background_points,
                object_size=object_size,
                batch_size=batch_size,
                skip_refused=skip_refused,
            )
        if show:
            results = _shown(results, wait_time)
        if out_dir is not None:
            results = _written(results, Path(out_dir), not no_save_vis, not no_save_pred)
        found = [result.to_datasample() if return_datasamples else result for result in results]
        return found[0] if is_single else found

    def stream(
        self,
        images: Iterable[Image] | str | Path,
        points: Any,
        labels: Any = None,
        *,
        semantic_maps: Any = None,
        background_points: Iterable | None = None,
        object_size: float | None = None,
        batch_size: int = 1,
        skip_refused: bool = False,
    ) -> Iterator[PointResult]:
        """Find the masks of images one after the other; ``batch_size`` images are in memory.

        Args:
            images: a folder, or the images, such as a generator of arrays.
            points: for a folder, a points file of any format that
                :func:`mmp2seg.converters.points_file.read_points` reads; the images are those that
                the file lists, and its true masks and boxes are kept. Otherwise an iterable with
                the points of each image.
            labels: an iterable with the labels of each image, or one class for all points. For a
                folder, None: they are in the file.
            semantic_maps: for a folder, a folder of maps ``<name of the image>.png``; otherwise an
                iterable of maps. None: there are none.
            background_points: an iterable; for a folder, None: they are in the file, and only the
                point segmenter reads them.
            object_size: see :meth:`predict`.
            batch_size: number of images that the network looks at together, which a GPU is faster
                with. Only images whose inputs have the same size, with the padding of the config,
                are put together, so that no result depends on other images but for rounding. A
                point segmenter sees one image at a time.
            skip_refused: leave out points of the file that cannot be used, such as points outside
                of their image, instead of raising an error.

        Returns:
            Iterator[PointResult]: the result of each image, made when it is asked for.

        Raises:
            FileNotFoundError, ValueError: the points file is broken or an image is missing, before
                the first result; and see :meth:`set_image` and :meth:`predict`. The message names
                the file.
        """
        if isinstance(images, str | Path):
            if labels is not None or background_points is not None:
                raise ValueError(
                    f'{images}: expected labels and background points in the points file, got them '
                    'as arguments'
                )
            requests = self._folder(Path(images), points, semantic_maps, skip_refused)
        else:
            requests = _requests(
                images,
                {
                    'points': points,
                    'labels': itertools.repeat(labels) if _is_single(labels) else labels,
                    'semantic maps': _or_none(semantic_maps),
                    'background points': _or_none(background_points),
                },
            )
        return self._results(requests, object_size, batch_size)

    def _results(
        self, requests: Iterable[_Request], object_size: float | None, batch_size: int
    ) -> Iterator[PointResult]:
        if operator.index(batch_size) < 1:
            raise ValueError(f'expected a batch_size of at least 1, got {batch_size}')
        return self._batches(
            iter(requests), object_size, 1 if self._network is None else batch_size
        )

    def _batches(
        self, requests: Iterator[_Request], object_size: float | None, batch_size: int
    ) -> Iterator[PointResult]:
        while batch := list(itertools.islice(requests, batch_size)):
            looks = [self._look_at(request) for request in batch]
            self._run_network(looks)
            while batch:
                # no name for anything: while the next result is made, it would still be in memory
                yield self._predict(looks.pop(0), batch.pop(0), object_size)

    def _folder(
        self, folder: Path, points: Any, maps: Any, skip_refused: bool
    ) -> Iterator[_Request]:
        if not isinstance(points, str | Path):
            raise ValueError(f'{folder}: expected a points file, got {type(points).__name__}')
        if maps is not None and not isinstance(maps, str | Path):
            raise ValueError(f'{folder}: expected a folder of maps, got {type(maps).__name__}')
        content = read_points(
            points,
            folder,
            classes=None if self._takes_new_classes else self.classes,
            skip_refused=skip_refused,
        )
        require_integer_ids(content, where=points)
        numbers = {
            category['id']: self._class_number(category['name'])
            for category in content['categories']
        }
        entries: dict[Any, list[dict]] = {image['id']: [] for image in content['images']}
        for annotation in content['annotations']:
            entries[annotation['image_id']].append(annotation)
        # those of a file are for whoever can use them
        reads_background = self._segments(has_map=maps is not None)
        return (
            _Request(
                folder / image['file_name'],
                [entry['point'] for entry in entries[image['id']]],
                [numbers[entry['category_id']] for entry in entries[image['id']]],
                None if maps is None else Path(maps, f'{relative_stem(image["file_name"])}.png'),
                image.get('background_points') if reads_background else None,
                file_name=image['file_name'],
                image_id=image['id'],
                point_ids=[entry['id'] for entry in entries[image['id']]],
                given=given_of_annotations(image, entries[image['id']]),
            )
            for image in content['images']
        )

    def _segments(self, *, has_map: bool) -> bool:
        """Return whether the point segmenter looks at an image with or without a semantic map."""
        return self._segmenter is not None and (self._network is None or not has_map)

    def _look_at(self, request: _Request) -> _Look:
        """Read an image, and make the network's input of it."""
        image = request.image
        if isinstance(image, str | Path):
            pixels = read_rgb(image) if self._network is None else self._network.read(image)
            source = ImageSource(
                request.file_name or Path(image).name, path=str(image), image_id=request.image_id
            )
        else:
            pixels = _as_bgr(image)
            # copies: the caller may change the array, and a view of RGB would be turned back to it
            rgb = pixels[..., ::-1].copy()
            source = ImageSource(
                request.file_name or 'image', pixels=rgb, image_id=request.image_id
            )
            pixels = rgb if self._network is None else pixels.copy()
        look = _Look(pixels, source, None)
        if request.semantic_map is not None:
            look.semantic_map = self._checked_map(request.semantic_map, look)
        if self._network is not None:
            look.batch = self._network.batch(pixels, semantic_map=look.semantic_map)
        return look

    @torch.no_grad()
    def _run_network(self, looks: Sequence[_Look]) -> None:
        """Compute the raw maps of images, those with inputs of one size together."""
        if self._network is None:
            return
        groups: dict[torch.Size, list[_Look]] = {}
        for look in looks:
            assert look.batch is not None
            groups.setdefault(look.batch['inputs'].shape, []).append(look)
        for group in groups.values():
            inputs = torch.cat([look.batch['inputs'] for look in group if look.batch is not None])
            raw_maps = self._network.model(inputs, mode='tensor')
            for index, look in enumerate(group):
                look.raw_maps = tuple(
                    None if part is None else part[index : index + 1] for part in raw_maps
                )

    @torch.no_grad()
    def _predict(self, look: _Look, request: _Request, object_size: float | None) -> PointResult:
        points_xy = onto_last_pixel(_checked_points(request.points, 'points'), *look.size)
        background = None
        if request.background_points is not None:
            background = _checked_points(request.background_points, 'background points')
            background = onto_last_pixel(background, *look.size)
        if background is not None or object_size is not None:
            self._require_segmenter(
                'object_size' if background is None else 'background_points', look
            )
        numbers = self._class_numbers(request.labels, len(points_xy))
        ids = np.arange(len(points_xy))
        if request.point_ids is not None:
            ids = np.array(request.point_ids, np.int64)
        common = dict(point_ids=ids, classes=self.classes, source=look.source)
        if self._network is None:
            segmentation = self._segment(
                look, points_xy, numbers, background, object_size, request.given
            )
            return result_of_segmentation(
                segmentation, points_xy=points_xy, labels=numbers, given=request.given, **common
            )
        sample = self._decode(look, points_xy, numbers, background, object_size, request.given)
        return result_of_sample(sample, **common)

    def _require_segmenter(self, name: str, look: _Look) -> None:
        if self._segments(has_map=look.semantic_map is not None):
            return
        reason = 'the network looks at the points alone'
        if self._segmenter is not None:
            reason = 'the semantic map takes its place'
        raise ValueError(f'expected no {name}, which a point segmenter reads: {reason}')

    def _decode(
        self,
        look: _Look,
        points_xy: npt.NDArray[np.float64],
        labels: npt.NDArray[np.int64],
        background: npt.NDArray[np.float64] | None,
        object_size: float | None,
        given: GivenOfPoints | None,
    ) -> DetDataSample:
        """Return the network's prediction; the ids of the points are their places."""
        assert self._network is not None and look.batch is not None
        model, batch = self._network.model, look.batch
        # the maps of the network are those of the points' classes; a map made of the points is new
        # with each of them
        of_points = self._segments(has_map=look.semantic_map is not None)
        if of_points:
            found = self._segment(look, points_xy, labels, background, object_size, given)
            batch = self._network.batch(look.pixels, semantic_map=found.semantic_map)
        (sample,) = batch['data_samples']
        sample = sample.new()
        sample.ori_points = InstanceData(
            points=torch.from_numpy(points_xy),
            labels=torch.from_numpy(labels),
            point_ids=torch.arange(len(points_xy)),
        )
        if given is not None:
            sample.ori_points.supervision = list(given.kinds)
            sample.ori_points.given = list(given.rles)
        classes = tuple(np.unique(labels).tolist())
        known = None if of_points else look.maps.get(classes)
        if known is None:
            (maps,) = model.original_maps(look.raw_maps, batch['inputs'], [sample])
            known = maps, AssignmentMemo(affinity=look.weights) if look.keeps else None
            while len(look.maps) > _KEPT_CLASSES:
                look.maps.pop(next(iter(look.maps)))
            if not of_points:
                look.maps[classes] = known
        model.decode_maps(sample, known[0], memo=known[1])
        return sample

    def _segment(
        self,
        look: _Look,
        points_xy: npt.NDArray[np.float64],
        labels: npt.NDArray[np.int64],
        background: npt.NDArray[np.float64] | None,
        object_size: float | None,
        given: GivenOfPoints | None,
    ) -> PointSegmentation:
        """Return the result of the point segmenter, with true masks and boxes."""
        assert self._segmenter is not None
        if look.image_rgb is None:
            look.image_rgb = look.source.pixels
            if look.image_rgb is None:
                look.image_rgb = (
                    look.pixels if self._network is None else read_rgb(look.source.path)
                )
        while len(look.frames) > _KEPT_FRAMES:
            look.frames.pop(next(iter(look.frames)))
        num_classes = max(1, len(self._classes))
        options: dict[str, Any] = {}
        if 'frames' in self._options and look.keeps:
            options['frames'] = look.frames
        if object_size is not None:
            require_options(self._segmenter, ['object_size'])
            options['object_size'] = object_size
        if look.semantic_map is not None and self._network is None:
            if 'semantic_map' in self._options:
                options['semantic_map'] = look.semantic_map
            else:
                options['network_maps'] = _maps_of(look.semantic_map, labels, num_classes)
        found: PointSegmentation = self._segmenter(
            look.image_rgb,
            points_xy=points_xy,
            labels=labels,
            num_classes=num_classes,
            background_xy=background,
            **options,
        )
        return found if given is None else with_given_masks(found, given, labels=labels)

    def _checked_map(self, semantic_map: Map, look: _Look) -> npt.NDArray[np.uint8]:
        if not self._reads_maps:
            advice = 'set test_cfg.use_weak_map=True' if self._network else 'leave it out'
            raise ValueError(f'expected no semantic map, as the model reads none: {advice}')
        where = 'semantic map'
        if isinstance(semantic_map, str | Path):
            where, values = str(semantic_map), read_index_png(semantic_map)
        else:
            values = np.asarray(semantic_map)
        if values.ndim != 2 or values.dtype != np.uint8:
            raise ValueError(
                f'{where}: expected an array (H, W) uint8, got {values.shape} {values.dtype}'
            )
        if values.shape != look.size:
            resizes = self._network is not None and self._network.resizes_maps
            if not (resizes and is_scaled(values.shape, look.size)):
                raise ValueError(
                    f'{where}: expected {look.size[1]} x {look.size[0]} pixels like the image, got '
                    f'{values.shape[1]} x {values.shape[0]}'
                )
            values = resize_nearest(values, look.size)
        try:
            count_values(values, num_classes=len(self._classes))
        except ValueError as error:
            raise ValueError(f'{where}: {error}') from error
        return values.copy()

    def _class_numbers(self, labels: Any, num_points: int) -> npt.NDArray[np.int64]:
        if labels is None and num_points == 0:
            return np.zeros(0, np.int64)
        if labels is None:
            if not self._classes and self._takes_new_classes:
                labels = 'object'
            elif len(self._classes) == 1:
                labels = 0
            else:
                raise ValueError(
                    f'expected a label for each point, numbers or names of '
                    f'{shorten_names(self._classes)}, got none'
                )
        if not isinstance(labels, str) and np.ndim(labels) > 0 and len(labels) != num_points:
            raise ValueError(
                f'expected a label for each point, got {len(labels)} for {num_points} points'
            )
        before = self._classes
        try:
            if isinstance(labels, str) or np.ndim(labels) == 0:
                return np.full(num_points, self._class_number(labels), np.int64)
            return np.array([self._class_number(label) for label in labels], np.int64)
        except ValueError:
            self._classes = before  # a call that fails adds no class
            raise

    def _class_number(self, label: Any) -> int:
        """Return the number of a class, by its number or name; a point segmenter learns names."""
        if isinstance(label, str):
            if label not in self._classes:
                if not self._takes_new_classes:
                    raise ValueError(
                        f'expected a class of {shorten_names(self._classes)}, got {label!r}'
                    )
                self._add_classes([str(label)])
            return self._classes.index(label)
        try:
            number = operator.index(label)
        except TypeError:
            raise ValueError(
                f'expected the number or the name of a class, got {label!r:.60}'
            ) from None
        limit = _MAX_CLASSES if self._takes_new_classes else len(self._classes)
        if not 0 <= number < limit:
            raise ValueError(f'expected a class in 0..{limit - 1}, got {number}')
        self._add_classes([f'class {k}' for k in range(len(self._classes), number + 1)])
        return number

    def _add_classes(self, names: list[str]) -> None:
        if len(self._classes) + len(names) > _MAX_CLASSES:
            raise ValueError(f'expected at most {_MAX_CLASSES} classes, got {names[0]!r} as well')
        taken = [name for name in names if name in self._classes]
        if taken:
            raise ValueError(
                f'expected numbers of the classes {shorten_names(self._classes)}, got a number '
                f'that would be another {taken[0]!r}'
            )
        self._classes = [*self._classes, *names]


_END = object()


def _requests(images: Iterable[Image], parts: dict[str, Any]) -> Iterator[_Request]:
    """Join images with their points, labels, semantic maps and background points."""
    others = {name: iter(part) for name, part in parts.items()}
    number = 0
    for number, image in enumerate(images, start=1):
        entries = [next(part, _END) for part in others.values()]
        for name, entry in zip(others, entries, strict=True):
            if entry is _END:
                raise ValueError(f'expected {name} for each image, got {number - 1}')
        name = None if isinstance(image, str | Path) else f'image_{number}'
        request = _Request(image, *entries, file_name=name)
        del image, entries
        yield request
        del request
    for name, part in others.items():
        if not isinstance(part, itertools.repeat) and next(part, _END) is not _END:
            raise ValueError(f'expected {name} for each image, got more than {number}')


def _or_none(parts: Iterable | None) -> Iterable:
    return itertools.repeat(None) if parts is None else parts


def _maps_of(
    semantic_map: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], num_classes: int
) -> tuple[Tensor, Tensor]:
    """Return a semantic map as probabilities ``(K + 1, H, W)`` and offsets of 0 ``(2, H, W)``.

    Where the map is not sure, background and the classes of the points are equally likely. Classes
    without points count as background.
    """
    values = np.append(0, np.unique(labels) + 1)
    known = np.where(np.isin(semantic_map, [*values, _IGNORE]), semantic_map, 0)
    shares = np.zeros((num_classes + 1, *known.shape), np.float32)
    for value in values:
        shares[value] = np.where(known == _IGNORE, 1 / len(values), known == value)
    return torch.from_numpy(shares), torch.zeros(2, *known.shape)


def _is_single(labels: Any) -> bool:
    """Return whether labels are one for all points of all images."""
    return isinstance(labels, str) or not isinstance(labels, Iterable)


@contextlib.contextmanager
def _user_errors() -> Iterator[None]:
    """Turn the errors of commands into ValueError."""
    try:
        yield
    except CommandError as error:
        raise ValueError(str(error)) from error


def _is_network(cfg: Config) -> bool:
    try:
        stage1_model(cfg)
    except CommandError:
        return False
    return True


def _checked_points(points: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    try:
        points_xy = np.array(points, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f'expected {name} [(x, y), ...], got {points!r:.60}') from None
    if points_xy.size == 0:
        return np.zeros((0, 2))
    if points_xy.ndim != 2 or points_xy.shape[1] != 2:
        raise ValueError(f'expected {name} [(x, y), ...], got the shape {points_xy.shape}')
    broken = np.flatnonzero(~np.isfinite(points_xy).all(1))
    if len(broken):
        x, y = points_xy[broken[0]]
        raise ValueError(f'expected finite {name}, got ({x:g}, {y:g}) at place {broken[0]}')
    return points_xy


def _given(
    points: npt.ArrayLike,
    masks: Sequence[npt.NDArray[np.bool_] | None] | None,
    boxes: Sequence[Sequence[float] | None] | None,
    size: tuple[int, int],
) -> GivenOfPoints | None:
    """Return the masks and boxes of a call.

    Args:
        size: (height, width) of the image.
    """
    if masks is None and boxes is None:
        return None
    points_xy = _checked_points(points, 'points')
    none = [None] * len(points_xy)
    of_points = {
        'masks': none if masks is None else masks,
        'boxes': none if boxes is None else boxes,
    }
    for name, values in of_points.items():
        if len(values) != len(points_xy):
            raise ValueError(
                f'expected {name} with an entry for each of {len(points_xy)} points, got '
                f'{len(values)}'
            )
    annotations: list[dict[str, Any]] = []
    for index, (point, mask, box) in enumerate(
        zip(points_xy.tolist(), *of_points.values(), strict=True)
    ):
        entry: dict[str, Any] = {'id': index, 'point': point}
        if mask is not None:
            mask = np.asarray(mask)
            if mask.shape != size or mask.dtype != bool:
                raise ValueError(
                    f'expected masks {size} bool, got {mask.shape} {mask.dtype} at place {index}'
                )
            entry.update(supervision='mask', segmentation=encode_rle(mask))
        elif box is not None:
            entry.update(supervision='box', bbox=[float(side) for side in box])
        annotations.append(entry)
    image = {'file_name': 'points', 'height': size[0], 'width': size[1]}
    return given_of_annotations(image, annotations)


def _as_bgr(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return an array as ``(H, W, 3)``, as ``mmcv.imread`` would: grey three times, no alpha."""
    # nothing else that converts to an array: a PIL image would be RGB
    got = type(image).__name__
    if isinstance(image, np.ndarray):
        if image.dtype == np.uint8 and image.size:
            if image.ndim == 2:
                image = image[..., None]
            if image.ndim == 3 and image.shape[2] in (1, 3, 4):
                return image[..., :3] if image.shape[2] > 1 else image.repeat(3, axis=2)
        got = f'{image.shape} {image.dtype}'
    raise ValueError(f'expected an image as array (H, W, 3) uint8 BGR or as path, got {got}')


def _checked_device(device: str | torch.device | None) -> str:
    name = resolve_device('auto' if device is None else str(device))
    try:
        torch.zeros(1, device=name)
    except Exception as error:  # of the name, or of the driver
        reason = str(error).strip().split('\n')[0]
        raise ValueError(
            f'expected a device such as cpu or cuda, got {device}: {reason:.200}'
        ) from error
    return name


def _shown(results: Iterable[PointResult], wait_time: float) -> Iterator[PointResult]:
    """Show the results that pass."""
    visualizer = Visualizer()
    for result in results:
        show_picture(visualizer, result.draw(), title=result.file_name, wait_time=wait_time)
        yield result
        del result


def _written(
    results: Iterable[PointResult], folder: Path, pictures: bool, predictions: bool
) -> Iterator[PointResult]:
    """Write the results that pass."""
    taken: set[Path] = set()
    for result in results:
        name = result.source.file_name
        path, number = picture_path(folder / 'vis', name), 1
        while path in taken:  # several arrays, or images of several folders
            path, number = picture_path(folder / 'vis', f'{name}-{number}'), number + 1
        taken.add(path)
        if pictures:
            write_png(path, result.draw())
        if predictions:
            target = folder / 'preds' / path.relative_to(folder / 'vis').with_suffix('.json')
            write_json(target, result.to_coco())
        yield result
