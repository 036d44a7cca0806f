"""PointSegmenter: instances of an image from its points and a frozen backbone, without training.

Dimensions: ``N`` points; ``H, W`` pixels of the image; ``h, w`` cells of a tile's grid.

Three frames occur. The *image* is as it was given, and so are points and results. The *working
frame* is the image resized so that its points have a usual spacing; the backbone sees it. The
*grid* has a cell for each ``grid_stride`` pixels of the working frame, for the random walker.
"""

import dataclasses
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmp2seg.ops.affinity.guided import guided_propagation
from mmp2seg.ops.components import keep_connected
from mmp2seg.ops.coords import keep_off_border, points_to_pixels
from mmp2seg.ops.point_similarity import (
    class_unary,
    cosine_maps,
    feature_lengths,
    geometric_mean,
    nearest_distances,
    normalize_levels,
    otsu_threshold,
    replace_points,
    sample_levels_at,
    sample_sum,
    similarity_unary,
    size_prior,
    spacing_radii,
)
from mmp2seg.ops.random_walker import edge_weights, random_walker
from mmp2seg.ops.windows import overlapping_windows
from mmp2seg.registry import MODELS
from mmp2seg.segmenters.point_checks import (
    IGNORE_INDEX,
    checked_points,
    clicks_inside,
    drop_reasons,
)
from mmp2seg.segmenters.point_segmentation import PointSegmentation

# A point that wins nowhere in a window more than this probability is left out there: it cannot be
# the largest, and crowded images have hundreds of points.
_NEGLIGIBLE = 0.01
# A size prior below exp(-4.5) = .011 at this many radii: the point is left out of a tile.
_PRIOR_REACH = 3.0
# Points whose similarities set the threshold, at most; more of them do not move it.
_MAX_THRESHOLD_POINTS = 512
_SEED_STRENGTH = 100.0
# Probability of its class at the click for a point that a network sees.
_SEEN = 0.5
# Larger frames keep no weights of guided propagation, which take 96 bytes per pixel.
_MAX_GUIDED_PIXELS = 1_000_000
# Largest side of the windows of guided propagation in fine pixels: small ones have few points in
# them, large ones less overlap.
_PAINT_SIDE = 256
# Side of the backbone's tiles in tiles of the random walker: features see far, so that their seams
# matter more, and a network without gradients needs less memory than scores of hundreds of points.
_BACKBONE_TILE = 3


@dataclass(frozen=True)
class Frame:
    """What does not depend on the points of an image, in one working frame.

    Attributes:
        maps: the backbone's maps, one for each of ``strides``, ``(C, h_l, w_l)``.
        levels: the same, normalised, of the strides for similarity.
        lengths: ``(h, w)``, lengths of the features on the grid.
        weights: ``(4, h, w)``, weights of the grid's edges.
        guided: by window of the image, the weights of guided propagation; None: they are not kept.
    """

    maps: list[Tensor]
    levels: list[Tensor]
    lengths: Tensor
    weights: Tensor
    guided: dict[tuple[int, int, int, int], dict[str, Any]] | None


@dataclass(frozen=True)
class _Scene:
    """What all tiles of an image share; positions in the working frame."""

    size: tuple[int, int]  # (height, width) of the working frame
    scale: tuple[float, float]  # (x, y) working pixels per image pixel
    levels: list[Tensor]  # normalised, of the strides for similarity
    lengths: Tensor  # (grid height, grid width) of the features
    class_logits: list[Tensor] | None  # (K + 1, h_l, w_l) of all strides
    network: tuple[Tensor, Tensor] | None  # (K + 1, ...) probabilities and (2, ...) offsets
    weights: Tensor  # (4, grid height, grid width) of the grid's edges
    guided: dict[tuple[int, int, int, int], dict[str, Any]] | None  # see Frame
    points_xy: Tensor
    labels: Tensor
    point_features: Tensor  # (N, C)
    radii: Tensor
    background_xy: Tensor
    background_features: Tensor
    threshold: float


@dataclass(frozen=True)
class _Scores:
    """Scores of a tile's points on its grid, background last."""

    values: Tensor  # (n + 1, h, w)
    points: npt.NDArray[np.int64]  # (n,) indices of the points
    origin: tuple[int, int]  # (row, column) of the first cell


@MODELS.register_module()
class PointSegmenter(BaseModule):
    """Segment the objects of an image by one point each, with the features of a frozen backbone.

    1. Similarity: the cosine of each cell's feature and the feature at each point
       (:func:`mmp2seg.ops.point_similarity.similarity_unary`), against a threshold by Otsu.
    2. Size prior: an object is about as large as the distance to the nearest other point.
    3. Seeded random walker with these priors on the image's colours; points and background clicks
       are seeds. Then guided propagation at full resolution.

    A pixel belongs to the point of the largest probability, or to the background; its semantic
    value is the class of the largest sum. An instance is connected: what does not hang together
    with the click is taken away from it.

    The working frame is the image with ``long_side``, enlarged if its points are nearer than
    ``spacing``, so that small objects keep some cells. Features are computed tile by tile and put
    together, their statistics are of the whole image, and the tiles of the random walker overlap:
    the result does not show them.

    Args:
        backbone: config of a backbone.
        strides: pixels per cell of the backbone's outputs.
        similarity_strides: the outputs that points are compared by; None: all.
        class_head: config of a head of class logits, such as
            :class:`mmp2seg.PointClassHead`, trained by
            :class:`mmp2seg.segmenters.class_head_training.ClassHeadTraining`; None: there is none.
            It adds a second prior: the probabilities of the classes, divided among their points.
        class_falloff: how much the logarithm of a point's share in its class falls per cell of the
            grid.
        class_strength: ``strength`` with a class head.
        mean: mean of the input's RGB channels, 0..255.
        std: their divisor.
        long_side: longer side of the working frame of an image with few points, in pixels.
        spacing: median distance of a point to its nearest neighbour that the working frame has at
            least, in pixels.
        max_scale: largest working frame, in sizes of the larger of the image and ``long_side``.
        grid_stride: working pixels per cell of the random walker.
        temperature: of the softmax of similarities.
        size_factor: radius of the size prior in distances to the nearest other point.
        min_radius: its lower limit in working pixels.
        strength: how much a cell keeps of its own prior in the random walker; None switches the
            random walker off.
        use_size_prior: False switches the size prior off.
        use_guided: False switches guided propagation off.
        guided: options of :func:`mmp2seg.ops.affinity.guided.guided_propagation`.
        connected: take away from an instance what is not connected with its click.
        min_confidence: a pixel whose best class has less probability is 255 in the semantic map.
        tile: largest side of the random walker's tiles without overlap, in working pixels; a
            multiple of the largest stride. An image up to half as large again is one tile. The
            backbone's tiles are three times as large.
        overlap: pixels that a tile is enlarged by on each side; a multiple of the largest stride.

    Raises:
        ValueError: a size does not fit the strides, or ``strength`` is not above 0.
    """

    def __init__(
        self,
        *,
        backbone: Mapping,
        strides: Sequence[int] = (16, 32),
        similarity_strides: Sequence[int] | None = None,
        class_head: Mapping | None = None,
        class_falloff: float = 0.5,
        class_strength: float = 0.02,
        mean: Sequence[float] = (127.0, 127.0, 127.0),
        std: Sequence[float] = (128.0, 128.0, 128.0),
        long_side: int = 352,
        spacing: float = 48.0,
        max_scale: float = 3.0,
        grid_stride: int = 4,
        temperature: float = 0.1,
        size_factor: float = 1.0,
        min_radius: float = 8.0,
        strength: float | None = 0.01,
        use_size_prior: bool = True,
        use_guided: bool = True,
        guided: Mapping | None = None,
        connected: bool = True,
        min_confidence: float = 0.6,
        tile: int = 384,
        overlap: int = 128,
        init_cfg: Mapping | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        step = max(*strides, grid_stride)
        if tile % step or overlap % step or any(step % s for s in (*strides, grid_stride)):
            raise ValueError(
                f'expected tile and overlap to be multiples of every stride, got tile {tile}, '
                f'overlap {overlap}, strides {tuple(strides)} and grid_stride {grid_stride}'
            )
        if strength is not None and strength <= 0:
            raise ValueError(f'expected a strength above 0 or None, got {strength}')
        self.backbone = MODELS.build(dict(backbone)).eval().requires_grad_(False)
        self.strides = tuple(strides)
        self.similarity_strides = tuple(similarity_strides or strides)
        self.class_head = None if class_head is None else MODELS.build(dict(class_head))
        self.class_falloff = class_falloff
        self.class_strength = class_strength
        self.register_buffer('_mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('_std', torch.tensor(std).view(3, 1, 1), persistent=False)
        self.long_side = long_side
        self.spacing = spacing
        self.max_scale = max_scale
        self.grid_stride = grid_stride
        self.temperature = temperature
        self.size_factor = size_factor
        self.min_radius = min_radius
        self.strength = strength
        self.use_size_prior = use_size_prior
        self.use_guided = use_guided
        self.guided = dict(guided or {})
        self.connected = connected
        self.min_confidence = min_confidence
        self.tile = tile
        self.overlap = overlap

    def train(self, mode: bool = True) -> 'PointSegmenter':
        """Set the mode; the backbone stays in evaluation mode."""
        super().train(mode)
        self.backbone.eval()
        return self

    @torch.inference_mode()
    def forward(
        self,
        image_rgb: npt.NDArray[np.uint8],
        *,
        points_xy: npt.ArrayLike,
        labels: npt.ArrayLike,
        num_classes: int,
        background_xy: npt.ArrayLike | None = None,
        object_size: float | None = None,
        network_maps: tuple[Tensor, Tensor] | None = None,
        frames: MutableMapping[tuple[int, int], Frame] | None = None,
    ) -> PointSegmentation:
        """Segment one image.

        Args:
            image_rgb: ``(H, W, 3)`` uint8.
            points_xy: ``(N, 2)`` floats in pixels of the image. Points outside it get no pixels; of
                several points in one pixel, only the first gets some.
            labels: ``(N,)`` integers in ``0..num_classes-1``.
            num_classes: K, at most 254.
            background_xy: ``(B, 2)`` clicks on background; those outside the image are ignored.
            object_size: diameter of a typical object in pixels of the image; None: the distance to
                the nearest other point.
            network_maps: ``(K + 1, H, W)`` probabilities of background and the classes, and
                ``(2, H, W)`` offsets ``(dx, dy)`` in pixels of the image, such as the maps of
                :class:`mmp2seg.P2Seg`. They take the place of the class head. A point whose class
                has less than half of the probability at its click does without them.
            frames: what does not depend on the points of this image, by (height, width) of the
                working frame, empty at first. The size depends on the spacing of the points. Frames
                that are not there are computed and added, so that further points in the same frame
                cost no pass of the backbone. None: compute them.

        Returns:
            PointSegmentation: in the frame of the image. Without points, everything is background.

        Raises:
            ValueError: the image has another shape or dtype, a label is not a class, points and
                labels differ in number, or ``object_size`` is not above 0.
        """
        points, classes = checked_points(image_rgb, points_xy, labels, num_classes)
        if object_size is not None and not 0 < object_size < np.inf:
            raise ValueError(f'expected an object_size above 0, got {object_size}')
        height, width = image_rgb.shape[:2]
        reasons = drop_reasons(points, classes, height, width)
        usable = np.flatnonzero(reasons == '')
        background = clicks_inside(background_xy, height, width)
        canvas = _Canvas(height, width, len(points), num_classes)
        if len(usable):
            scene = self._look(
                image_rgb, points[usable], classes[usable], background, object_size, frames
            )
            if network_maps is not None:
                scene = dataclasses.replace(scene, network=self._on_grid(scene, *network_maps))
            for scores, box in self._tiles(scene):
                self._paint(canvas, scene, scores, box, image_rgb, usable, classes)
        return canvas.result(points, classes, reasons, self.connected, self.min_confidence)

    @torch.no_grad()  # not inference mode: a head is trained with the result
    def class_features(
        self,
        image_rgb: npt.NDArray[np.uint8],
        *,
        points_xy: npt.ArrayLike,
        object_size: float | None = None,
    ) -> tuple[list[Tensor], tuple[int, int], tuple[float, float]]:
        """Return what a class head is trained with.

        Args:
            image_rgb: ``(H, W, 3)`` uint8.
            points_xy: ``(N, 2)`` points inside the image.
            object_size: see :meth:`forward`.

        Returns:
            tuple: the backbone's maps of the working frame, one for each of ``strides``; the rows
            and columns of the grid; and the grid's cells per image pixel in x and y.
        """
        points = torch.from_numpy(np.asarray(points_xy, dtype=np.float64).reshape(-1, 2))
        size = image_rgb.shape[:2]
        scale = self.working_scale(size, points, object_size)
        height, width = (max(1, round(side * scale)) for side in size)
        maps = self._extract(_resize(image_rgb, width, height))
        grid = (-(-height // self.grid_stride), -(-width // self.grid_stride))
        step = self.grid_stride
        return maps, grid, (width / size[1] / step, height / size[0] / step)

    @torch.inference_mode()
    def agreement_map(
        self,
        image_rgb: npt.NDArray[np.uint8],
        *,
        points_xy: npt.ArrayLike,
        labels: npt.ArrayLike,
        num_classes: int,
        background_xy: npt.ArrayLike | None = None,
        object_size: float | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Return the semantic map on the grid as far as both priors agree on it.

        A cell has the class that the segmenter with its class head gives it. It is background if
        the segmenter says so with the class head and without; the rest is 255. The similarity
        alone makes objects too large, a head that clicks have trained makes them too small; what
        both call background is background.

        Args: see :meth:`forward`.

        Returns:
            np.ndarray: ``(grid rows, grid columns)`` uint8.
        """
        points, classes = checked_points(image_rgb, points_xy, labels, num_classes)
        height, width = image_rgb.shape[:2]
        usable = drop_reasons(points, classes, height, width) == ''
        background = clicks_inside(background_xy, height, width)
        scene = self._look(image_rgb, points[usable], classes[usable], background, object_size)
        full = self._grid_map(scene)
        alone = self._grid_map(dataclasses.replace(scene, class_logits=None))
        return np.where((full == 0) & (alone != 0), np.uint8(IGNORE_INDEX), full)

    def _grid_map(self, scene: _Scene) -> npt.NDArray[np.uint8]:
        """Return the semantic map of the random walker on the grid, without propagation."""
        out = np.zeros(scene.lengths.shape, np.uint8)
        labels = scene.labels.cpu().numpy()
        for scores, core in self._tiles(scene):
            rows, columns = (_cells(side, self.grid_stride) for side in core)
            top, left = scores.origin
            values = scores.values[
                :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
            ]
            out[rows, columns] = _class_sums(values.cpu().numpy(), labels[scores.points])[1]
        return out

    def working_scale(
        self, size: tuple[int, int], points_xy: Tensor, object_size: float | None = None
    ) -> float:
        """Return working pixels per image pixel.

        Args:
            size: (height, width) of the image.
            points_xy: ``(N, 2)`` points in the image.
            object_size: see :meth:`forward`.
        """
        base = self.long_side / max(size)
        if object_size is None:
            typical = float(nearest_distances(points_xy).median()) if len(points_xy) > 1 else np.inf
        else:
            typical = object_size
        wanted = self.spacing / max(typical, 1e-6)
        return min(max(base, wanted), self.max_scale * max(base, 1.0))

    def _look(
        self,
        image_rgb: npt.NDArray[np.uint8],
        points_xy: npt.NDArray[np.float64],
        labels: npt.NDArray[np.int64],
        background_xy: npt.NDArray[np.float64],
        object_size: float | None,
        frames: MutableMapping[tuple[int, int], Frame] | None = None,
    ) -> _Scene:
        """Compute features, radii and the threshold of an image."""
        size = image_rgb.shape[:2]
        device = self._mean.device
        scale = self.working_scale(size, torch.from_numpy(points_xy), object_size)
        height, width = (max(1, round(side * scale)) for side in size)
        scale_xy = (width / size[1], height / size[0])
        keeps = frames is not None and height * width <= _MAX_GUIDED_PIXELS >= size[0] * size[1]
        frames = {} if frames is None else frames
        if (height, width) not in frames:
            frames[height, width] = self._frame(_resize(image_rgb, width, height), keeps=keeps)
        frame = frames[height, width]
        points, clicks = (
            self._to_working(xy, scale_xy, (height, width)) for xy in (points_xy, background_xy)
        )
        if object_size is None:
            radii = spacing_radii(
                points,
                smallest=self.min_radius,
                largest=max(height, width) / 2,
                factor=self.size_factor,
            )
        else:
            radii = torch.full((len(points),), self.size_factor * object_size * scale).to(points)
        features = self._features_at(frame.levels, points)
        return _Scene(
            size=(height, width),
            scale=scale_xy,
            levels=frame.levels,
            lengths=frame.lengths,
            class_logits=None if self.class_head is None else self.class_head.eval()(frame.maps),
            network=None,
            weights=frame.weights,
            guided=frame.guided,
            points_xy=points,
            labels=torch.from_numpy(labels).to(device),
            point_features=features,
            radii=radii,
            background_xy=clicks,
            background_features=self._features_at(frame.levels, clicks),
            threshold=self._threshold(frame.levels, features, frame.lengths),
        )

    def _frame(self, working: npt.NDArray[np.uint8], *, keeps: bool) -> Frame:
        """Compute what does not depend on the points.

        Args:
            working: the image in the working frame, RGB.
            keeps: keep the weights of guided propagation.
        """
        height, width = working.shape[:2]
        grid_size = (-(-width // self.grid_stride), -(-height // self.grid_stride))
        xs, ys = (self._centers(0, cells, self._mean) for cells in grid_size)
        maps = self._extract(working)
        similar = [maps[self.strides.index(stride)] for stride in self.similarity_strides]
        levels = normalize_levels(similar, self.similarity_strides, xs, ys)
        lab = cv2.cvtColor(_resize(working, *grid_size).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        return Frame(
            maps=maps,
            levels=levels,
            lengths=feature_lengths(levels, self.similarity_strides, xs, ys),
            # of the whole image: the colours of a tile alone would scale its weights differently
            weights=edge_weights(torch.from_numpy(lab).permute(2, 0, 1).to(self._mean.device)),
            guided={} if keeps else None,
        )

    def _on_grid(self, scene: _Scene, probs: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Return a network's maps on the grid, with offsets in working pixels."""
        size = scene.lengths.shape
        probs, offset = (
            F.interpolate(maps[None].to(scene.lengths), size, mode='bilinear', antialias=True)[0]
            for maps in (probs, offset)
        )
        return probs, offset * offset.new_tensor(scene.scale)[:, None, None]

    def _to_working(
        self,
        points_xy: npt.NDArray[np.float64],
        scale_xy: tuple[float, float],
        size: tuple[int, int],
    ) -> Tensor:
        points = keep_off_border(torch.from_numpy(points_xy * scale_xy), *size)
        return points.float().to(self._mean.device)

    def _extract(self, working: npt.NDArray[np.uint8]) -> list[Tensor]:
        """Return the backbone's maps of the working frame, put together from its tiles."""
        height, width = working.shape[:2]
        maps: list[Tensor] = []
        for core, window in overlapping_windows(
            height, width, _BACKBONE_TILE * self.tile, self.overlap, step=max(self.strides)
        ):
            crop = np.ascontiguousarray(working[window])
            pixels = torch.from_numpy(crop).to(self._mean.device).permute(2, 0, 1)
            outputs = self.backbone(((pixels - self._mean) / self._std)[None])
            if not maps:
                maps = [
                    output.new_zeros(output.shape[1], -(-height // s), -(-width // s))
                    for output, s in zip(outputs, self.strides, strict=True)
                ]
            for output, target, stride in zip(outputs, maps, self.strides, strict=True):
                rows, columns = (_cells(side, stride) for side in core)
                top, left = (side.start // stride for side in window)
                target[:, rows, columns] = output[
                    0,
                    :,
                    rows.start - top : rows.stop - top,
                    columns.start - left : columns.stop - left,
                ]
        return maps

    def _features_at(self, levels: list[Tensor], positions: Tensor) -> Tensor:
        """Return the features of the grid cells that contain the positions, ``(N, C)``."""
        cells = positions.div(self.grid_stride, rounding_mode='floor')
        x, y = ((cells + 0.5) * self.grid_stride).T
        return sample_levels_at(levels, self.similarity_strides, x, y).T

    def _threshold(self, levels: list[Tensor], features: Tensor, lengths: Tensor) -> float:
        """Return Otsu's threshold of every cell's similarity to its most similar point."""
        features = features[:: -(-len(features) // _MAX_THRESHOLD_POINTS)]
        height, width = lengths.shape
        xs = self._centers(0, width, features)
        highest = []
        for start in range(0, height, 32):  # rows at a time: there may be hundreds of points
            ys = self._centers(start, min(start + 32, height), features)
            maps = cosine_maps(
                features,
                levels,
                self.similarity_strides,
                xs,
                ys,
                lengths=lengths[start : start + 32],
            )
            highest.append(maps.amax(0))
        return otsu_threshold(torch.cat(highest).cpu().numpy())

    def _centers(self, start: int, stop: int, like: Tensor) -> Tensor:
        return (torch.arange(start, stop, device=like.device) + 0.5) * self.grid_stride

    def _tiles(self, scene: _Scene) -> Iterator[tuple[_Scores, tuple[slice, slice]]]:
        """Yield the scores of each tile, and the tile without its overlap in working pixels."""
        for core, window in overlapping_windows(
            *scene.size, self.tile, self.overlap, step=self.grid_stride, single=1.5
        ):
            yield self._tile_scores(scene, window), core

    def _tile_scores(self, scene: _Scene, window: tuple[slice, slice]) -> _Scores:
        rows, columns = (_cells(side, self.grid_stride) for side in window)
        near = self._near_points(scene, window)
        points, radii = scene.points_xy[near], scene.radii[near]
        ys = self._centers(rows.start, rows.stop, scene.weights)
        xs = self._centers(columns.start, columns.stop, scene.weights)
        similarity, background = (
            cosine_maps(
                features,
                scene.levels,
                self.similarity_strides,
                xs,
                ys,
                lengths=scene.lengths[rows, columns],
            )
            for features in (scene.point_features[near], scene.background_features)
        )
        if self.use_size_prior:
            prior = size_prior(points, radii, xs, ys)
        else:
            prior = torch.ones_like(similarity)
        unary = similarity_unary(
            similarity,
            prior,
            threshold=scene.threshold,
            temperature=self.temperature,
            background=background,
        )
        class_probs, positions = self._class_probs(scene, rows, columns, xs, ys)
        if class_probs is not None:
            classes = class_unary(
                class_probs,
                scene.labels[near],
                points,
                positions,
                prior,
                falloff=self.class_falloff / self.grid_stride,
            )
            if scene.network is not None:
                classes = replace_points(classes, unary, self._seen_points(scene)[near])
            unary = geometric_mean(unary, classes)
        values = unary
        if self.strength is not None:
            strength = self.strength if class_probs is None else self.class_strength
            values = self._walk(scene, unary, points, rows, columns, strength)
        indices = near.cpu().numpy()
        return _Scores(values=values, points=indices, origin=(rows.start, columns.start))

    def _class_probs(
        self, scene: _Scene, rows: slice, columns: slice, xs: Tensor, ys: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """Return probabilities of a second source, and the positions that points are compared to.

        Returns:
            tuple: ``(K + 1, h, w)`` probabilities of background and the classes, of which only
            those of the image's points can be above 0, or None; ``(2, h, w)`` positions.
        """
        positions = torch.stack([xs.expand(len(ys), -1), ys[:, None].expand(-1, len(xs))])
        if scene.network is not None:
            probs, offset = scene.network
            return probs[:, rows, columns], positions + offset[:, rows, columns]
        if scene.class_logits is None:
            return None, positions
        logits = sample_sum(scene.class_logits, self.strides, xs, ys)
        absent = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
        absent[0] = False
        absent[scene.labels + 1] = False
        return logits.masked_fill(absent[:, None, None], -torch.inf).softmax(0), positions

    def _seen_points(self, scene: _Scene) -> Tensor:
        """Return which points have the network's class in the cell of their click, ``(N,)`` bool.

        A network that was trained on few images of many classes calls two thirds of the clicks
        something else; about these points, it knows nothing.
        """
        assert scene.network is not None
        column, row = scene.points_xy.div(self.grid_stride, rounding_mode='floor').long().T
        return scene.network[0][scene.labels + 1, row, column] >= _SEEN

    def _near_points(self, scene: _Scene, window: tuple[slice, slice]) -> Tensor:
        """Return the indices of the points whose size prior reaches into a window."""
        if not self.use_size_prior:
            return torch.arange(len(scene.points_xy), device=scene.points_xy.device)
        low = scene.points_xy.new_tensor([window[1].start, window[0].start])
        high = scene.points_xy.new_tensor([window[1].stop, window[0].stop])
        outside = torch.maximum(low - scene.points_xy, scene.points_xy - high).clamp_min(0)
        return (outside.norm(dim=1) <= _PRIOR_REACH * scene.radii).nonzero()[:, 0]

    def _walk(
        self,
        scene: _Scene,
        unary: Tensor,
        points: Tensor,
        rows: slice,
        columns: slice,
        strength_of_prior: float,
    ) -> Tensor:
        unary = unary.clone()
        height, width = unary.shape[1:]
        xy = torch.cat([points, scene.background_xy])
        labels = torch.arange(len(xy), device=xy.device).clamp_max(len(points))
        column, row = xy.div(self.grid_stride, rounding_mode='floor').long().T
        column, row = column - columns.start, row - rows.start
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        labels, row, column = labels[inside], row[inside], column[inside]
        counts = unary.new_zeros(height, width)
        counts.index_put_((row, column), counts.new_ones(()), accumulate=True)
        unary[:, row, column] = 0
        share = 1 / counts[row, column]  # clicks in one cell share it
        unary.index_put_((labels, row, column), share, accumulate=True)
        strength = torch.where(counts > 0, _SEED_STRENGTH, strength_of_prior)
        return random_walker(unary, scene.weights[:, rows, columns], strength.to(unary))

    def _paint(
        self,
        canvas: '_Canvas',
        scene: _Scene,
        scores: _Scores,
        core: tuple[slice, slice],
        image_rgb: npt.NDArray[np.uint8],
        usable: npt.NDArray[np.int64],
        classes: npt.NDArray[np.int64],
    ) -> None:
        """Bring the scores of a tile to the image's resolution and paint the tile without overlap.

        Guided propagation runs on small windows, at the higher of the two resolutions. They overlap
        by its reach, so that the result is that of the whole tile.
        """
        height, width = image_rgb.shape[:2]
        left, right = (round(x / scene.scale[0]) for x in (core[1].start, core[1].stop))
        top, bottom = (round(y / scene.scale[1]) for y in (core[0].start, core[0].stop))
        enlarge = max(1.0, *scene.scale)
        margin = int(np.ceil(self._guided_reach() / enlarge)) + 2  # 2: of cubic interpolation
        side = max(32, round(_PAINT_SIDE / enlarge))
        for inner, _ in overlapping_windows(bottom - top, right - left, side, 0):
            inner_rows = slice(inner[0].start + top, inner[0].stop + top)
            inner_columns = slice(inner[1].start + left, inner[1].stop + left)
            rows = slice(max(0, inner_rows.start - margin), min(height, inner_rows.stop + margin))
            columns = slice(
                max(0, inner_columns.start - margin), min(width, inner_columns.stop + margin)
            )
            values, points = self._full_resolution(scene, scores, image_rgb, rows, columns, enlarge)
            values = values[
                :,
                inner_rows.start - rows.start : inner_rows.stop - rows.start,
                inner_columns.start - columns.start : inner_columns.stop - columns.start,
            ]
            indices = usable[points]
            canvas.paint(
                (inner_rows, inner_columns), values.cpu().numpy(), indices, classes[indices]
            )

    def _guided_reach(self) -> int:
        """Return how far a result depends on the scores and the image, in fine pixels."""
        if not self.use_guided:
            return 0
        dilations = self.guided.get('dilations', (1, 2, 4))
        # one step more: the weights of the outermost pixel compare it with its neighbours
        return max(dilations) * (self.guided.get('iterations', 5) + 1)

    def _full_resolution(
        self,
        scene: _Scene,
        scores: _Scores,
        image_rgb: npt.NDArray[np.uint8],
        rows: slice,
        columns: slice,
        enlarge: float,
    ) -> tuple[Tensor, npt.NDArray[np.int64]]:
        """Return the scores of a window of the image, and the points that they belong to.

        Returns:
            tuple: ``(n + 1, rows, columns)`` scores, background last, and ``(n,)`` indices.
        """
        size = (rows.stop - rows.start, columns.stop - columns.start)
        fine = tuple(max(1, round(side * enlarge)) for side in size)
        like = scores.values
        # centres of the fine pixels in the image, then as cells of the grid
        y = rows.start + (torch.arange(fine[0]).to(like) + 0.5) * (size[0] / fine[0])
        x = columns.start + (torch.arange(fine[1]).to(like) + 0.5) * (size[1] / fine[1])
        y = y * scene.scale[1] / self.grid_stride - scores.origin[0]
        x = x * scene.scale[0] / self.grid_stride - scores.origin[1]
        values, points = _strong_scores(like, scores.points, x, y)
        grid_height, grid_width = like.shape[1:]
        grid = torch.stack(
            torch.meshgrid(2 * x / grid_width - 1, 2 * y / grid_height - 1, indexing='xy'), -1
        )
        values = F.grid_sample(
            values[None], grid[None], padding_mode='border', align_corners=False
        )[0]
        if self.use_guided:
            crop = _resize(np.ascontiguousarray(image_rgb[rows, columns]), fine[1], fine[0])
            guide = torch.from_numpy(crop).permute(2, 0, 1).to(values)
            memo = None
            if scene.guided is not None:
                window = (rows.start, rows.stop, columns.start, columns.stop)
                memo = scene.guided.setdefault(window, {})
            values = guided_propagation(values, guide, memo=memo, **self.guided)
        if fine != size:
            values = F.interpolate(values[None], size, mode='bilinear', antialias=True)[0]
        return values, points


class _Canvas:
    """The maps of an image while its tiles are painted."""

    def __init__(self, height: int, width: int, num_points: int, num_classes: int) -> None:
        self._num_classes = num_classes
        self._instances = np.zeros((height, width), np.int32)
        self._semantic = np.zeros((height, width), np.uint8)
        self._unsure = np.zeros((height, width), bool)
        self._confidence = np.ones((height, width), np.float32)
        self._probability = np.zeros((height, width), np.float32)
        self._num_points = num_points

    def paint(
        self,
        box: tuple[slice, slice],
        values: npt.NDArray[np.float32],
        points: npt.NDArray[np.int64],
        labels: npt.NDArray[np.int64],
    ) -> None:
        """Decide every pixel of ``box`` by ``(n + 1, ...)`` scores, background last."""
        winner = values.argmax(0)
        owners = np.append(points + 1, 0)
        confidence, semantic = _class_sums(values, labels)
        self._instances[box] = owners[winner]
        self._semantic[box] = semantic
        self._confidence[box] = confidence
        self._probability[box] = values.max(0)
        # the object and the class that win may differ where many objects of a class meet
        self._unsure[box] = np.append(labels + 1, 0)[winner] != semantic

    def result(
        self,
        points_xy: npt.NDArray[np.float64],
        classes: npt.NDArray[np.int64],
        reasons: npt.NDArray[np.object_],
        connected: bool,
        min_confidence: float,
    ) -> PointSegmentation:
        points_xy = np.where((reasons == '')[:, None], points_xy, 0)
        cells = points_to_pixels(points_xy)
        for n in np.flatnonzero(reasons == ''):
            row, column = cells[n]
            self._instances[row, column] = n + 1  # a click is in its own mask and of its class
            self._semantic[row, column] = classes[n] + 1
            self._unsure[row, column], self._confidence[row, column] = False, 1
        if connected:
            self._instances = keep_connected(
                torch.from_numpy(self._instances)[None], torch.from_numpy(points_xy)[None]
            )[0].numpy()
        counts = np.bincount(self._instances.ravel(), minlength=self._num_points + 1)[1:]
        totals = np.bincount(
            self._instances.ravel(), self._probability.ravel(), minlength=self._num_points + 1
        )[1:]
        final = [
            reason or ('' if count else 'no_pixels')
            for reason, count in zip(reasons, counts, strict=True)
        ]
        unsure = self._unsure | (self._confidence < min_confidence)
        return PointSegmentation(
            instance_map=self._instances,
            semantic_map=np.where(unsure, np.uint8(IGNORE_INDEX), self._semantic),
            semantic_argmax=self._semantic,
            scores=(totals / np.maximum(counts, 1)).astype(np.float32),
            reasons=tuple(final),
        )


def _class_sums(
    values: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return the largest sum of a class and its semantic value, of scores with background last."""
    present = np.unique(labels)
    sums = np.stack([values[-1], *(values[:-1][labels == label].sum(0) for label in present)])
    best = sums.argmax(0)
    return sums.max(0), np.append(0, present + 1).astype(np.uint8)[best]


def _strong_scores(
    values: Tensor, points: npt.NDArray[np.int64], x: Tensor, y: Tensor
) -> tuple[Tensor, npt.NDArray[np.int64]]:
    """Leave out the points that are negligible in the cells around a window.

    Args:
        values: ``(n + 1, h, w)``.
        points: ``(n,)`` indices.
        x, y: columns and rows of the window in cells.
    """
    height, width = values.shape[1:]
    rows = slice(max(0, int(y.min()) - 1), min(height, int(y.max()) + 2))
    columns = slice(max(0, int(x.min()) - 1), min(width, int(x.max()) + 2))
    strong = (values[:-1, rows, columns].amax((1, 2)) >= _NEGLIGIBLE).nonzero()[:, 0]
    keep = torch.cat([strong, strong.new_tensor([len(values) - 1])])
    return values[keep], points[strong.cpu().numpy()]


def _resize(image: npt.NDArray[np.uint8], width: int, height: int) -> npt.NDArray[np.uint8]:
    if image.shape[:2] == (height, width):
        return image
    smaller = width * height < image.shape[0] * image.shape[1]
    interpolation = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=interpolation)


def _cells(pixels: slice, stride: int) -> slice:
    """Return the cells that cover some pixels; the first pixel starts a cell."""
    return slice(pixels.start // stride, -(-pixels.stop // stride))
