"""The instances of one image, one for each point, and the formats that they can be written in.

Dimensions: ``H, W`` pixels of the image; ``N`` points; ``M <= N`` instances.
"""

import dataclasses
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmp2seg.codecs import DROP_REASONS
from mmp2seg.files.atomic_write import write_json
from mmp2seg.files.image_reading import read_rgb
from mmp2seg.files.index_png import write_palette_png
from mmp2seg.ops.masks import masks_to_boxes_xyxy
from mmp2seg.ops.polygons import mask_to_polygons
from mmp2seg.ops.rle import Rle, decode_rle, encode_instance_map, encode_rle
from mmp2seg.pseudo_labels.coco_json import assemble, encode_image, to_numpy
from mmp2seg.segmenters import PointCandidates, PointSegmentation
from mmp2seg.segmenters.given_masks import GivenOfPoints
from mmp2seg.version import __version__
from mmp2seg.visualization.panels import distinct_colors, draw_instances, draw_points

if TYPE_CHECKING:
    import supervision

_LARGEST_INDEX = 254  # 255 is ignore


@dataclasses.dataclass(frozen=True, eq=False)
class ImageSource:
    """Where an image is from; either ``path`` or ``pixels`` is given.

    Attributes:
        file_name: its name in files that are written.
        path: its file. None: it was an array.
        pixels: ``(H, W, 3)`` uint8 RGB. None: they are read from the file.
        image_id: its id in the points file. None: there is none.
    """

    file_name: str = 'image'
    path: str | None = None
    pixels: npt.NDArray[np.uint8] | None = dataclasses.field(default=None, repr=False)
    image_id: int | None = None


@dataclasses.dataclass(frozen=True)
class DroppedPoint:
    """A point without an instance.

    Attributes:
        index: place of the point among those of the call.
        point: ``(x, y)``.
        label: its class ``0..K-1``.
        point_id: its id.
        reason: a key of :data:`mmp2seg.codecs.DROP_REASONS`.
    """

    index: int
    point: tuple[float, float]
    label: int
    point_id: int
    reason: str

    def __str__(self) -> str:
        """Return one line for the user."""
        x, y = self.point
        return f'point {self.point_id} at ({x:g}, {y:g}): {DROP_REASONS[self.reason]}'


@dataclasses.dataclass(frozen=True, eq=False)
class PointResult:
    """The instances of an image, in its own frame.

    Every point of the call is either in ``point_indices`` or in ``dropped``. Masks are kept
    run-length encoded, and an image that was a file is read again when it is needed, so that a list
    of results is small.

    Attributes:
        rles: M masks, see :func:`mmp2seg.ops.rle.encode_rle`.
        labels: ``(M,)`` int64, classes ``0..K-1``.
        scores: ``(M,)`` float32 in ``[0, 1]``.
        points: ``(M, 2)`` float64 ``(x, y)``, the point of each instance.
        point_ids: ``(M,)`` int64, the ids of these points.
        point_indices: ``(M,)`` int64, the places of these points among those of the call.
        dropped: the other points, with the reasons.
        classes: names of the K classes.
        size: ``(H, W)``.
        click_scores: ``(M,)`` float32, the network's own probability of the class at the point.
            None: the point segmenter made the masks.
        supervision: M kinds, ``'mask'`` for a true mask, ``'box'`` for a mask in a true box, else
            ``'point'``. None: there were points alone.
        source: where the image is from.
        candidates: of each instance, the masks that it was chosen from. None: there were no others.
    """

    rles: tuple[Rle, ...] = dataclasses.field(repr=False)
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    points: npt.NDArray[np.float64] = dataclasses.field(repr=False)
    point_ids: npt.NDArray[np.int64] = dataclasses.field(repr=False)
    point_indices: npt.NDArray[np.int64] = dataclasses.field(repr=False)
    dropped: tuple[DroppedPoint, ...]
    classes: tuple[str, ...]
    size: tuple[int, int]
    source: ImageSource
    click_scores: npt.NDArray[np.float32] | None = dataclasses.field(default=None, repr=False)
    candidates: tuple[PointCandidates | None, ...] | None = dataclasses.field(
        default=None, repr=False
    )
    supervision: tuple[str, ...] | None = dataclasses.field(default=None, repr=False)

    def __len__(self) -> int:
        """Return M, the number of instances."""
        return len(self.rles)

    @functools.cached_property
    def masks(self) -> npt.NDArray[np.bool_]:
        """``(M, H, W)`` bool, each with at least one pixel; decoded at the first access."""
        return self._decoded()

    @property
    def image(self) -> npt.NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 RGB, a copy; a file is read at each access."""
        pixels = self.source.pixels
        return read_rgb(self.source.path) if pixels is None else pixels.copy()

    @property
    def file_name(self) -> str:
        """Name of the image in files that are written."""
        return self.source.file_name

    @property
    def image_id(self) -> int | None:
        """Id of the image in the points file; None: there is none."""
        return self.source.image_id

    def to_datasample(self) -> DetDataSample:
        """Return an mmdet data sample on the CPU; it shares no memory with the result.

        It has ``pred_instances``, ``dropped_points`` and ``ori_points``, as a network's prediction,
        see :mod:`mmp2seg.structures.fields`.
        """
        sample = DetDataSample(
            metainfo=dict(
                img_id=0 if self.image_id is None else self.image_id,
                img_path=self.source.path,
                file_name=self.file_name,
                ori_shape=self.size,
            )
        )
        masks = torch.tensor(self._decoded())
        pred = dict(
            masks=masks,
            bboxes=masks_to_boxes_xyxy(masks),
            scores=torch.tensor(self.scores),
            labels=torch.tensor(self.labels),
            points=torch.tensor(self.points),
            point_ids=torch.tensor(self.point_ids),
        )
        if self.click_scores is not None:
            pred['click_scores'] = torch.tensor(self.click_scores)
        if self.supervision is not None:
            pred['supervision'] = list(self.supervision)
        sample.pred_instances = InstanceData(**pred)
        columns = {key: torch.from_numpy(values) for key, values in self._dropped_columns().items()}
        reasons = [point.reason for point in self.dropped]
        sample.dropped_points = InstanceData(**columns, reasons=reasons)
        order = np.argsort([*self.point_indices, *(point.index for point in self.dropped)])
        sample.ori_points = InstanceData(
            **{key: torch.cat([pred[key], values])[order] for key, values in columns.items()}
        )
        return sample

    def to_coco(self, *, image_id: int | None = None) -> dict[str, Any]:
        """Return a pseudo label json of this image.

        :mod:`mmp2seg.pseudo_labels.coco_json` describes the layout. The categories are ``1..K`` in
        the order of the classes.

        Args:
            image_id: id of the image. None: that of the points file, or else 1.

        Raises:
            ValueError: two points have the same id.
        """
        if image_id is None:
            image_id = 1 if self.image_id is None else self.image_id
        category_ids = range(1, len(self.classes) + 1)
        annotations, dropped = self.to_entries(image_id, category_ids)
        height, width = self.size
        return assemble(
            [dict(id=image_id, file_name=self.file_name, height=height, width=width)],
            [dict(id=k, name=name) for k, name in zip(category_ids, self.classes, strict=True)],
            annotations,
            dropped,
            {'description': 'masks from points', 'version': f'mmp2seg {__version__}'},
        )

    def to_entries(
        self, image_id: int, category_ids: Sequence[int]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the annotations, without ids, and the dropped points of a pseudo label json.

        Args:
            image_id: id of the image.
            category_ids: ids of the K categories, in the order of the classes.
        """
        pred = dict(
            masks=list(self.rles),
            scores=self.scores,
            labels=self.labels,
            points=self.points,
            point_ids=self.point_ids,
        )
        if self.click_scores is not None:
            pred['click_scores'] = self.click_scores
        if self.candidates is not None:
            pred['candidates'] = self.candidates
        if self.supervision is not None:
            pred['supervision'] = self.supervision
        reasons = [point.reason for point in self.dropped]
        sample = dict(
            img_id=image_id,
            pred_instances=pred,
            dropped_points=dict(reasons=reasons, **self._dropped_columns()),
        )
        return encode_image(sample, category_ids)

    def index_map(self, *, kind: str = 'instance') -> npt.NDArray[np.int32]:
        """Return ``(H, W)`` int32, 0 where there is no instance; of overlapping masks, the last.

        Args:
            kind: ``'instance'``: ``n + 1`` for the point at place n of the call; ``'semantic'``:
                ``k + 1`` for class k.

        Raises:
            ValueError: for another ``kind``.
        """
        if kind not in ('instance', 'semantic'):
            raise ValueError(f"expected kind to be 'instance' or 'semantic', got {kind!r}")
        values = self.point_indices if kind == 'instance' else self.labels
        result = np.zeros(self.size, np.int32)
        for mask, value in zip(self._decoded(), values, strict=True):
            result[mask] = value + 1
        return result

    def to_index_png(self, path: str | Path, *, kind: str = 'instance') -> None:
        """Write :meth:`index_map` as a PNG of 8 bits with VOC's palette.

        Raises:
            ValueError: for another ``kind``, or a number above 254.
            OSError: the file cannot be written.
        """
        index_map = self.index_map(kind=kind)
        if index_map.max(initial=0) > _LARGEST_INDEX:
            raise ValueError(
                f'{path}: expected numbers up to {_LARGEST_INDEX} in a PNG of 8 bits, got '
                f'{index_map.max()}: write to_coco() instead'
            )
        write_palette_png(path, index_map.astype(np.uint8))

    def to_labelme(self, path: str | Path) -> None:
        """Write the masks as polygons to a json that LabelMe opens.

        The polygons follow the edges of the pixels; holes are filled. The parts of an instance have
        the same ``group_id``, the place of its point in the call.

        Raises:
            OSError: the file cannot be written.
        """
        shapes = [
            dict(
                label=self.classes[label],
                points=np.reshape(polygon, (-1, 2)).tolist(),
                group_id=int(index),
                description=f'score {score:.3f}',
                shape_type='polygon',
                flags={},
                mask=None,
            )
            for mask, label, score, index in zip(
                self._decoded(), self.labels, self.scores, self.point_indices, strict=True
            )
            for polygon in mask_to_polygons(mask)
        ]
        image = self.file_name
        if self.source.path is not None:
            image = Path(os.path.relpath(self.source.path, Path(path).parent)).as_posix()
        content = dict(
            version='5.5.0',  # version of the file layout
            flags={},
            shapes=shapes,
            imagePath=image,
            imageData=None,
            imageHeight=self.size[0],
            imageWidth=self.size[1],
        )
        write_json(path, content)

    def to_supervision(self) -> 'supervision.Detections':
        """Return the instances for the package ``supervision``.

        ``data`` has ``class_name`` and ``point_id``.

        Raises:
            ImportError: the package is not installed.
        """
        try:
            import supervision
        except ModuleNotFoundError as error:
            if error.name != 'supervision':  # a package that it needs
                raise
            raise ImportError(
                'to_supervision() needs the package supervision: pip install supervision'
            ) from error
        masks = self._decoded()
        boxes = masks_to_boxes_xyxy(torch.from_numpy(masks)).numpy()
        return supervision.Detections(
            xyxy=boxes.reshape(-1, 4),
            mask=masks,
            confidence=self.scores,
            class_id=self.labels.astype(int),
            data={
                'class_name': np.array([self.classes[label] for label in self.labels], str),
                'point_id': self.point_ids,
            },
        )

    def draw(self) -> npt.NDArray[np.uint8]:
        """Draw masks and points over the image; dropped points are crosses.

        Returns:
            NDArray: ``(H, W, 3)`` uint8 RGB.
        """
        palette = distinct_colors(max(1, len(self.classes)))
        picture = draw_instances(
            self.image, self._decoded(), self.labels, self.points, palette=palette
        )
        missing = self._dropped_columns()
        points, labels = missing['points'], missing['labels']
        drawn: npt.NDArray[np.uint8] = draw_points(picture, points, labels, palette, crossed=True)
        return drawn

    def _decoded(self) -> npt.NDArray[np.bool_]:
        """Return the masks and do not keep them: a list of results stays small."""
        if 'masks' in self.__dict__:
            return self.masks
        return np.array([decode_rle(rle) for rle in self.rles], bool).reshape(-1, *self.size)

    def _dropped_columns(self) -> dict[str, npt.NDArray[Any]]:
        return dict(
            points=np.array([p.point for p in self.dropped], np.float64).reshape(-1, 2),
            labels=np.array([p.label for p in self.dropped], np.int64),
            point_ids=np.array([p.point_id for p in self.dropped], np.int64),
        )


def result_of_sample(
    sample: DetDataSample,
    *,
    point_ids: npt.NDArray[np.int64],
    classes: Sequence[str],
    source: ImageSource,
) -> PointResult:
    """Return the result of a data sample with a network's prediction.

    Args:
        sample: with ``pred_instances`` and ``dropped_points``, whose ``point_ids`` are the places
            ``0..N-1`` of the points; see :mod:`mmp2seg.structures.fields`.
        point_ids: ``(N,)``, the ids of the points.
        classes: names of the classes.
        source: where the image is from.
    """
    pred, missing = sample.pred_instances, sample.dropped_points
    kept = to_numpy(pred.point_ids)
    columns = (to_numpy(missing[key]).tolist() for key in ('point_ids', 'points', 'labels'))
    return PointResult(
        rles=tuple(encode_rle(mask) for mask in to_numpy(pred.masks)),
        labels=to_numpy(pred.labels),
        scores=to_numpy(pred.scores),
        points=to_numpy(pred.points),
        point_ids=point_ids[kept],
        point_indices=kept,
        dropped=tuple(
            DroppedPoint(index, (x, y), label, int(point_ids[index]), reason)
            for index, (x, y), label, reason in zip(*columns, missing.reasons, strict=True)
        ),
        classes=tuple(classes),
        size=tuple(pred.masks.shape[1:]),
        source=source,
        click_scores=to_numpy(pred.click_scores) if 'click_scores' in pred else None,
        supervision=tuple(pred.supervision) if 'supervision' in pred else None,
    )


def result_of_segmentation(
    segmentation: PointSegmentation,
    *,
    points_xy: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    point_ids: npt.NDArray[np.int64],
    classes: Sequence[str] = (),
    source: ImageSource | None = None,
    given: GivenOfPoints | None = None,
) -> PointResult:
    """Return the result of a point segmenter.

    Args:
        segmentation: of the image, by these points.
        points_xy: ``(N, 2)``.
        labels: ``(N,)``.
        point_ids: ``(N,)``.
        classes: names of the classes.
        source: where the image is from. None: nowhere, its pixels are not known.
        given: the true masks and boxes that ``segmentation`` was drawn with
            (:func:`mmp2seg.segmenters.given_masks.with_given_masks`). Masks are returned whole,
            also where a smaller one was drawn over them. None: there are none.
    """
    rles = encode_instance_map(segmentation.instance_map, len(points_xy))
    if given is not None:
        rles = [
            true if kind == 'mask' else rle
            for rle, true, kind in zip(rles, given.rles, given.kinds, strict=True)
        ]
    kept = np.array([n for n, rle in enumerate(rles) if rle is not None], np.int64)
    reasons = segmentation.reasons or [''] * len(points_xy)
    return PointResult(
        rles=tuple(rle for rle in rles if rle is not None),
        labels=labels[kept],
        scores=segmentation.scores[kept],
        points=points_xy[kept],
        point_ids=point_ids[kept],
        point_indices=kept,
        dropped=tuple(
            DroppedPoint(n, (x, y), int(labels[n]), int(point_ids[n]), reasons[n] or 'no_pixels')
            for n, (x, y) in enumerate(points_xy.tolist())
            if rles[n] is None
        ),
        classes=tuple(classes),
        size=segmentation.instance_map.shape,
        source=source or ImageSource(),
        candidates=None
        if segmentation.candidates is None
        else tuple(segmentation.candidates[n] for n in kept),
        supervision=None if given is None else tuple(given.kinds[n] for n in kept),
    )
