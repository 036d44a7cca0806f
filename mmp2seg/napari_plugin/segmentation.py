"""Masks of the points of slices, one slice after the other; it needs neither napari nor Qt.

torch and the mm packages are imported at the first use, in the thread of the work: this takes
seconds.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.napari_plugin.pixels import displayed_bgr
from mmp2seg.napari_plugin.slices import SlicePoints

if TYPE_CHECKING:
    from mmp2seg.apis.inferencer import P2SegInferencer


@dataclass(frozen=True)
class ModelChoice:
    """What :class:`mmp2seg.P2SegInferencer` is built from.

    Attributes:
        config: a config of stage 1 or of a point segmenter.
        checkpoint: weights of stage 1; None for a point segmenter.
        device: of torch; None: CUDA if there is one.
    """

    config: str
    checkpoint: str | None = None
    device: str | None = None


@dataclass(frozen=True, eq=False)
class SliceImages:
    """An Image layer as it is displayed.

    Attributes:
        data: ``(..., H, W)``, or ``(..., H, W, 3 or 4)`` with ``rgb``; any array, also a lazy one,
            of which only slices are read.
        rgb: whether there are colours.
        contrast_limits: see :func:`mmp2seg.napari_plugin.pixels.displayed_bgr`.
    """

    data: npt.NDArray
    rgb: bool
    contrast_limits: tuple[float, float] | None = None

    def bgr(self, index: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Read a slice as ``(H, W, 3)`` uint8 BGR."""
        return displayed_bgr(self.data[index], rgb=self.rgb, contrast_limits=self.contrast_limits)


@dataclass(frozen=True)
class PointOutcome:
    """What a point got.

    Attributes:
        row: its place in the layer.
        class_name: its class.
        score: of its mask in [0, 1]; None: it has no mask.
        message: why it has none; empty if it has one.
    """

    row: int
    class_name: str
    score: float | None
    message: str = ''


@dataclass(frozen=True, eq=False)
class SliceResult:
    """The masks of a slice.

    Attributes:
        index: of the slice.
        instances: ``(H, W)`` int32, 0 = none, ``row + 1`` of the point.
        outcomes: of the points that are not on background, in the order of the layer.
    """

    index: tuple[int, ...]
    instances: npt.NDArray[np.int32]
    outcomes: tuple[PointOutcome, ...]


class PointMaskModel:
    """An inferencer that is built at the first use, and kept with the slice it looked at last."""

    def __init__(self) -> None:
        self._choice: ModelChoice | None = None
        self._inferencer: P2SegInferencer | None = None
        self._looked_at: tuple | None = None

    def load(self, choice: ModelChoice) -> 'P2SegInferencer':
        """Return the inferencer of a choice; only another choice builds a new one.

        Raises:
            ValueError: see :class:`mmp2seg.P2SegInferencer`.
        """
        if self._inferencer is None or choice != self._choice:
            from mmp2seg.apis.inferencer import P2SegInferencer

            self._inferencer = self._looked_at = None  # free the memory first
            checkpoint = None if choice.checkpoint is None else Path(choice.checkpoint)
            self._inferencer = P2SegInferencer(choice.config, checkpoint, choice.device)
            self._choice = choice
        return self._inferencer

    def segment(
        self,
        choice: ModelChoice,
        images: SliceImages,
        slices: Sequence[SlicePoints],
        *,
        object_size: float | None = None,
    ) -> Iterator[SliceResult]:
        """Find the masks of the points, one slice after the other.

        All points of a slice compete for its pixels. Points of the class ``background`` say where
        no object is; a network does not look at them. The pixels of the last slice stay with the
        model, so that its next call, with other points, is fast.

        Raises:
            ValueError: the slice is no image, or see :meth:`mmp2seg.P2SegInferencer.predict`.
        """
        inferencer = self.load(choice)
        for one in slices:
            bgr = images.bgr(one.index)
            self._look_at(inferencer, bgr)
            yield self._result(inferencer, one, bgr.shape[:2], object_size)

    def _look_at(self, inferencer: 'P2SegInferencer', bgr: npt.NDArray[np.uint8]) -> None:
        key = bgr.shape, zlib.crc32(bgr), zlib.adler32(bgr)
        if key != self._looked_at:
            self._looked_at = None
            inferencer.set_image(bgr)
            self._looked_at = key

    def _result(
        self,
        inferencer: 'P2SegInferencer',
        one: SlicePoints,
        size: tuple[int, int],
        object_size: float | None,
    ) -> SliceResult:
        from mmp2seg.codecs import DROP_REASONS

        is_object = np.array([name != BACKGROUND for name in one.classes], bool)
        rows = one.rows[is_object]
        names = [name for name in one.classes if name != BACKGROUND]
        if not names:
            return SliceResult(one.index, np.zeros(size, np.int32), ())
        clicks = one.points_xy[~is_object]
        result = inferencer.predict(
            one.points_xy[is_object],
            names,
            clicks if len(clicks) and inferencer.reads_background_points else None,
            object_size=object_size,
        )
        values = np.concatenate([[0], rows + 1]).astype(np.int32)
        scores = dict(zip(result.point_indices.tolist(), result.scores.tolist(), strict=True))
        reasons = {point.index: DROP_REASONS[point.reason] for point in result.dropped}
        outcomes = tuple(
            PointOutcome(int(row), name, scores.get(place), reasons.get(place, ''))
            for place, (row, name) in enumerate(zip(rows, names, strict=True))
        )
        return SliceResult(one.index, values[result.index_map()], outcomes)


def class_map(
    instances: npt.NDArray[np.int32], class_of_row: Mapping[int, int]
) -> npt.NDArray[np.int32]:
    """Replace the points in a map of instances by the numbers of their classes.

    Args:
        instances: integers, 0 = none, ``row + 1`` of a point.
        class_of_row: number of the class of each row, 1 and above.
    """
    table = np.zeros(int(instances.max(initial=0)) + 1, np.int32)
    for row, number in class_of_row.items():
        if row + 1 < len(table):
            table[row + 1] = number
    return table[instances]
