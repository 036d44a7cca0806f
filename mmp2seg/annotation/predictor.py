"""Masks for the page, by the package's inferencer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.config import Config

from mmp2seg.annotation.mask_worker import Predictor
from mmp2seg.annotation.point_store import Point
from mmp2seg.apis.inferencer import P2SegInferencer
from mmp2seg.codecs import DROP_REASONS
from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.files.image_folder import shorten_names
from mmp2seg.ops.polygons import mask_to_polygons
from mmp2seg.ops.rle import decode_rle


def load_predictor(
    config: str | Path | Config,
    checkpoint: str | Path | None,
    *,
    folder: str | Path,
    classes: Sequence[str],
    device: str | None = None,
) -> Predictor:
    """Load a model, and return a function of the points of an image.

    The function keeps what the model computed of the last image, so that further clicks are fast.
    It returns ``masks``, a list of ``point``, the place of the point in the call, ``score`` and
    ``path``, the outline as an SVG path in pixels of the image; and ``dropped``, a list of
    ``point`` and ``reason``.

    Args:
        config: of a point segmenter, or of a stage-1 network.
        checkpoint: weights of the network.
        folder: folder of the images.
        classes: names of the classes. A network that was trained on other names is an error; one
            without names has these, in this order.
        device: torch's name of a device; None: CUDA if there is one.

    Raises:
        ValueError: see :class:`mmp2seg.P2SegInferencer`, or the network has other classes.
    """
    inferencer = P2SegInferencer(config, checkpoint, device)
    labels = class_labels(inferencer.classes, classes, where=str(checkpoint))
    last: Path | None = None

    def predict(name: str, points: Sequence[Point]) -> dict[str, Any]:
        nonlocal last
        objects = [k for k, point in enumerate(points) if point.label != BACKGROUND]
        clicks = [(point.x, point.y) for point in points if point.label == BACKGROUND]
        path = Path(folder, name)
        if path != last:
            last = None  # if the image is broken
            inferencer.set_image(path)
            last = path
        if not objects:
            return dict(masks=[], dropped=[])
        result = inferencer.predict(
            [(points[k].x, points[k].y) for k in objects],
            [labels[points[k].label] for k in objects],
            clicks if clicks and inferencer.reads_background_points else None,
        )
        masks = [
            dict(point=objects[index], score=round(float(score), 3), path=svg_path(decode_rle(rle)))
            for index, score, rle in zip(
                result.point_indices, result.scores, result.rles, strict=True
            )
        ]
        dropped = [
            dict(point=objects[point.index], reason=DROP_REASONS[point.reason])
            for point in result.dropped
        ]
        return dict(masks=masks, dropped=dropped)

    return predict


def class_labels(
    known: Sequence[str], classes: Sequence[str], *, where: str
) -> dict[str, str | int]:
    """Return what to call each class in a call of the inferencer.

    Args:
        known: the inferencer's classes when it was built. A point segmenter has none and takes any
            name; a network without names has those of ``classes``, in this order.
        classes: names of the classes.
        where: for the message.

    Raises:
        ValueError: a network was trained on other names.
    """
    if tuple(known) == tuple(f'class {k}' for k in range(len(classes))):
        return {name: number for number, name in enumerate(classes)}
    if known and not set(classes) <= set(known):
        raise ValueError(
            f'{where}: expected classes of the network, which are {shorten_names(known)}; got '
            f'{shorten_names(classes)}'
        )
    return {name: name for name in classes}


def svg_path(mask: npt.NDArray[np.bool_]) -> str:
    """Return the outlines of a mask ``(H, W)`` as an SVG path in continuous coordinates."""
    parts = (np.reshape(polygon, (-1, 2)).astype(int) for polygon in mask_to_polygons(mask))
    return ''.join(f'M{"L".join(f"{x} {y}" for x, y in part)}Z' for part in parts)
