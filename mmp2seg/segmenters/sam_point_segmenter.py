"""SamPointSegmenter: masks of points by a network of the Segment Anything family.

Dimensions: ``N`` points; ``H, W`` pixels of the image; ``C`` candidate masks of a point (3).
"""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.model import BaseModule
from scipy.spatial import KDTree
from torch import Tensor

from mmp2seg.ops.candidates import best_candidate, clicks_held, paint_smaller_on_top
from mmp2seg.ops.components import keep_connected
from mmp2seg.ops.coords import points_to_pixels
from mmp2seg.ops.rle import encode_rle
from mmp2seg.registry import MODELS
from mmp2seg.segmenters.point_checks import (
    IGNORE_INDEX,
    checked_points,
    clicks_inside,
    drop_reasons,
)
from mmp2seg.segmenters.point_segmentation import (
    MaskCandidate,
    PointCandidates,
    PointSegmentation,
)
from mmp2seg.segmenters.sam_network import EmbeddedImage, SamNetwork, load_sam

CHOICES = ('exclusive', 'score')


@dataclass(frozen=True)
class _Found:
    """The candidates of a point, and the one that is taken."""

    candidates: PointCandidates
    area: int  # of the one that is taken
    logits: Tensor  # (1, h, w) of it, in the frame of the network


@MODELS.register_module()
class SamPointSegmenter(BaseModule):
    """Segment the objects of an image by one point each, with SAM and its relatives.

    Each point is a prompt of its own. The network answers with three masks, usually a part, the
    object, and a group; all are kept as candidates, from the smallest to the largest. One of them
    is taken. Where the masks that are taken overlap, the smallest gets the pixel, and every click
    is in its own mask.

    The weights are read by ``init_weights``, or at the first image.

    Args:
        weights: folder of weights or name on the Hugging Face hub; see
            :func:`mmp2seg.segmenters.sam_network.load_sam`.
        choice: ``'score'``: take the candidate with the best predicted IoU. ``'exclusive'``: the
            best one of those that hold the fewest clicks of other objects and on background.
        num_neighbors: give a prompt this many clicks of other objects as negative points, the
            nearest ones.
        num_background: the same of clicks on background.
        points_per_batch: prompts in a pass of the mask decoder.
        connected: take away from an instance what is not connected with its click.
        min_confidence: a pixel whose probability of being in its mask, or of being in none, is less
            is 255 in the semantic map.
        local_files_only: take weights of the hub from the cache of earlier downloads alone.

    Raises:
        ValueError: ``choice`` is unknown, or a number is too small.
    """

    def __init__(
        self,
        *,
        weights: str,
        choice: str = 'exclusive',
        num_neighbors: int = 0,
        num_background: int = 4,
        points_per_batch: int = 32,
        connected: bool = False,
        min_confidence: float = 0.6,
        local_files_only: bool = False,
    ) -> None:
        super().__init__()
        if choice not in CHOICES:
            raise ValueError(f'expected choice to be one of {CHOICES}, got {choice!r}')
        if min(num_neighbors, num_background) < 0 or points_per_batch < 1:
            raise ValueError(
                'expected num_neighbors and num_background of at least 0 and points_per_batch of '
                f'at least 1, got {num_neighbors}, {num_background} and {points_per_batch}'
            )
        if not 0.5 <= min_confidence < 1:
            raise ValueError(f'expected a min_confidence from .5 to below 1, got {min_confidence}')
        self.weights = weights
        self.choice = choice
        self.num_neighbors = num_neighbors
        self.num_background = num_background
        self.points_per_batch = points_per_batch
        self.connected = connected
        self.min_confidence = min_confidence
        self.local_files_only = local_files_only
        self.network: SamNetwork | None = None

    def init_weights(self) -> None:
        """Read the weights, once.

        Raises:
            PretrainedWeightsError: see :func:`mmp2seg.segmenters.sam_network.load_sam`.
        """
        if self.network is None:
            self.network = load_sam(self.weights, local_files_only=self.local_files_only)
        self._is_init = True

    @torch.inference_mode()
    def forward(
        self,
        image_rgb: npt.NDArray[np.uint8],
        *,
        points_xy: npt.ArrayLike,
        labels: npt.ArrayLike,
        num_classes: int,
        background_xy: npt.ArrayLike | None = None,
        frames: MutableMapping[Any, EmbeddedImage] | None = None,
    ) -> PointSegmentation:
        """Segment one image.

        Args:
            image_rgb: ``(H, W, 3)`` uint8.
            points_xy: ``(N, 2)`` floats in pixels of the image. Points outside it get no pixels; of
                several points in one pixel, only the first gets some.
            labels: ``(N,)`` integers in ``0..num_classes-1``.
            num_classes: K, at most 254.
            background_xy: ``(B, 2)`` clicks on background; those outside the image are ignored.
            frames: what does not depend on the points of this image; empty at first. Further points
                then cost no pass of the image encoder. None: run it.

        Returns:
            PointSegmentation: in the frame of the image. ``scores`` are the predicted IoUs.

        Raises:
            ValueError: the image has another shape or dtype, a label is not a class, or points and
                labels differ in number.
            PretrainedWeightsError: the weights cannot be read.
        """
        points, classes = checked_points(image_rgb, points_xy, labels, num_classes)
        size = image_rgb.shape[:2]
        reasons = drop_reasons(points, classes, *size)
        usable = np.flatnonzero(reasons == '')
        found: list[_Found] = []
        image = None
        if len(usable):
            image = self._embed(image_rgb, frames)
            found = list(self._find(image, points[usable], clicks_inside(background_xy, *size)))
        return self._combine(image, found, usable, points, classes, reasons, size)

    def _embed(
        self,
        image_rgb: npt.NDArray[np.uint8],
        frames: MutableMapping[Any, EmbeddedImage] | None,
    ) -> EmbeddedImage:
        frames = {} if frames is None else frames
        if 'sam' not in frames:
            self.init_weights()
            assert self.network is not None
            frames['sam'] = self.network.embed(image_rgb)
        return frames['sam']

    def _find(
        self,
        image: EmbeddedImage,
        points_xy: npt.NDArray[np.float64],
        background_xy: npt.NDArray[np.float64],
    ) -> Iterator[_Found]:
        """Yield the candidates of ``(n, 2)`` points inside the image."""
        assert self.network is not None
        prompts, is_object = make_prompts(
            points_xy,
            background_xy,
            num_neighbors=self.num_neighbors,
            num_background=self.num_background,
        )
        pixels = points_to_pixels(points_xy)
        strangers = np.concatenate([pixels, points_to_pixels(background_xy)])
        for start in range(0, len(points_xy), self.points_per_batch):
            part = slice(start, start + self.points_per_batch)
            logits, scores = self.network.candidates(image, prompts[part], is_object[part])
            for index, (low, ious) in enumerate(zip(logits, scores), start=start):
                yield self._choose(image, low, ious.clamp(0, 1).numpy(), pixels[index], strangers)

    def _choose(
        self,
        image: EmbeddedImage,
        logits: Tensor,
        scores: npt.NDArray[np.float32],
        pixel: npt.NDArray[np.int64],
        strangers: npt.NDArray[np.int64],
    ) -> _Found:
        """Return the candidates of a point.

        Args:
            logits: ``(C, h, w)``.
            scores: ``(C,)``.
            pixel: row and column of the point.
            strangers: ``(M, 2)`` of all clicks, the point's own among them.
        """
        assert self.network is not None
        masks = (self.network.to_image(logits, image) > 0).numpy()
        areas = masks.sum((1, 2))
        order = np.argsort(areas, kind='stable')
        masks, areas, scores = masks[order], areas[order], scores[order]
        holds_click = masks[:, pixel[0], pixel[1]]
        others = clicks_held(masks, strangers) - holds_click
        if self.choice == 'score':
            holds_click, others = np.ones_like(holds_click), np.zeros_like(others)
        chosen = best_candidate(scores, areas=areas, holds_click=holds_click, num_others=others)
        candidates = tuple(
            MaskCandidate(encode_rle(mask), float(score))
            for mask, score in zip(masks, scores, strict=True)
        )
        return _Found(
            PointCandidates(candidates, chosen),
            int(areas[chosen]),
            logits[order[chosen]][None].clone(),  # not a view that keeps the others
        )

    def _combine(
        self,
        image: EmbeddedImage | None,
        found: list[_Found],
        usable: npt.NDArray[np.int64],
        points_xy: npt.NDArray[np.float64],
        classes: npt.NDArray[np.int64],
        reasons: npt.NDArray[np.object_],
        size: tuple[int, int],
    ) -> PointSegmentation:
        """Let the points compete for pixels."""
        strongest = np.full(size, -np.inf, np.float32)  # logit of being in any of the masks

        def mask_of(index: int) -> npt.NDArray[np.bool_]:
            assert self.network is not None and image is not None
            logits = self.network.to_image(found[index].logits, image)[0].numpy()
            np.maximum(strongest, logits, out=strongest)
            return logits > 0

        owners = paint_smaller_on_top([each.area for each in found], mask_of, size=size)
        instance_map = np.concatenate([[0], usable + 1]).astype(np.int32)[owners]
        rows, cols = points_to_pixels(points_xy[usable]).T
        instance_map[rows, cols] = usable + 1  # a click is in its own mask
        strongest[rows, cols] = np.inf
        if self.connected and len(found):
            kept_xy = np.where((reasons == '')[:, None], points_xy, 0)
            instance_map = keep_connected(
                torch.from_numpy(instance_map)[None], torch.from_numpy(kept_xy)[None]
            )[0].numpy()
        semantic = np.concatenate([[0], classes + 1]).astype(np.uint8)[instance_map]
        limit = np.log(self.min_confidence / (1 - self.min_confidence))
        scores = np.zeros(len(points_xy), np.float32)
        candidates: list[PointCandidates | None] = [None] * len(points_xy)
        for place, each in zip(usable, found, strict=True):
            scores[place] = each.candidates.masks[each.candidates.chosen].score
            candidates[place] = each.candidates
        return PointSegmentation(
            instance_map=instance_map,
            semantic_map=np.where(np.abs(strongest) < limit, np.uint8(IGNORE_INDEX), semantic),
            semantic_argmax=semantic,
            scores=scores,
            reasons=tuple(reasons),
            candidates=tuple(candidates),
        )


def make_prompts(
    points_xy: npt.NDArray[np.float64],
    background_xy: npt.NDArray[np.float64],
    *,
    num_neighbors: int,
    num_background: int,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return a prompt for each point: itself, and the nearest negative points.

    Args:
        points_xy: ``(n, 2)``.
        background_xy: ``(B, 2)``.
        num_neighbors: other points in a prompt; fewer if there are not so many.
        num_background: clicks on background in a prompt; likewise.

    Returns:
        tuple: ``(n, p, 2)`` points, and ``(n, p)`` bool, True for the first of each prompt.
    """
    parts = [points_xy[:, None]]
    neighbors = min(num_neighbors, len(points_xy) - 1)
    if neighbors > 0:
        # the nearest is the point itself: no two are in one pixel
        _, near = KDTree(points_xy).query(points_xy, k=neighbors + 1)
        parts.append(points_xy[near[:, 1:]])
    clicks = min(num_background, len(background_xy))
    if clicks > 0:
        _, near = KDTree(background_xy).query(points_xy, k=np.arange(1, clicks + 1))
        parts.append(background_xy[near])
    prompts = np.concatenate(parts, axis=1)
    is_object = np.zeros(prompts.shape[:2], bool)
    is_object[:, 0] = True
    return prompts, is_object
