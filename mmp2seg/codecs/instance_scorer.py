"""InstanceScorer: one round of S2I and I2S, from semantic scores and offsets to instances.

Dimensions: ``N`` points; ``V`` semantic values of the image, background first; ``C`` channels of
the image; ``D`` channels of the embedding; ``H, W`` pixels; ``h, w`` cells of a coarser grid.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmp2seg.codecs.affinities import Affinity, propagate_batch
from mmp2seg.codecs.given_masks import GivenMasks
from mmp2seg.ops.components import keep_connected
from mmp2seg.ops.instance_scores import (
    best_instances,
    class_scores,
    fix_clicks,
    instance_scores,
    near_points,
    with_click_affinities,
)
from mmp2seg.ops.offsets import landing_positions, offsets_at_points
from mmp2seg.ops.semantic_scores import resize_scores
from mmp2seg.ops.windows import Box, overlapping_windows
from mmp2seg.registry import TASK_UTILS

ANCHORS = ('landing', 'point')
# A point is left out of a window where its share of a class is below this: it cannot be the largest
# there, and a large image has hundreds of points.
_NEGLIGIBLE = 1e-4
# First and last row and column of a window.
_Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class InstanceAssignment:
    """The instance and the semantic value of each pixel.

    Attributes:
        instance_map: ``(H, W)`` int32, 0 = none, ``n + 1`` = point ``n``.
        channel_map: ``(H, W)`` int64, the channel of the most likely semantic value.
        confidence: ``(H, W)`` float32, the probability of this value.
    """

    instance_map: Tensor
    channel_map: Tensor
    confidence: Tensor


@dataclass
class AssignmentMemo:
    """What assignments of the same image by other points share; see :meth:`InstanceScorer.assign`.

    Attributes:
        affinity: by window with its surroundings, the memo of the affinity. It depends on the
            image, the embedding and ``valid``. None: keep none, which saves the memory of 24 maps
            of the image.
        windows: by window without its surroundings, the points that have a share in it, and its
            result. It also depends on ``probs`` and ``offset``.
    """

    affinity: dict[_Window, dict[str, Any]] | None = field(default_factory=dict)
    windows: dict[_Window, tuple[tuple[Tensor, ...], tuple[Tensor, ...]]] = field(
        default_factory=dict
    )


@TASK_UTILS.register_module()
class InstanceScorer:
    """Turn semantic scores and offsets into instances by a round of mutual distillation.

    S2I (semantic to instance): the probability of each class is divided among its points, by the
    distance of a pixel's landing position to them
    (:func:`mmp2seg.ops.instance_scores.instance_scores`). The clicks are fixed. An affinity
    propagates these instance scores. I2S (instance to semantic): their sums per class are the new
    semantic scores. A pixel gets the most likely class first, and then the best point of it.

    Large frames are cut into windows that overlap by the affinity's reach, so that memory does not
    grow with the number of points. The result does not show them.

    Args:
        affinity: an :class:`mmp2seg.codecs.affinities.Affinity` or its config; None: the scores are
            not propagated (S2I alone).
        sigma: how sharply the class is divided, in pixels.
        landing_weight: where the compared position lies between the pixel's centre (0) and its
            landing position (1).
        anchor: which position of a point distances are measured to: ``'landing'``, the point moved
            along its own offset by the same weight, or ``'point'``.
        click_radius: pixels that are at most this far from a click belong to it, whatever the
            network says; None: clicks are not fixed.
        click_weight: share of the learned affinity of each pixel to each click in the scores
            (:func:`mmp2seg.ops.instance_scores.with_click_affinities`); above 0, calls need an
            embedding. These are the rows of the clicks, N of the paper's affinity matrix.
        connected: take away from an instance what is not connected with its click.
        stride: pixels per cell of the grid that the scores are propagated on. The embedding is
            resized to this grid. A :class:`mmp2seg.codecs.PairwiseAffinity` compares all pairs of
            its cells: give it the stride of the embedding.
        window: longest side of a window without overlap, in cells.

    Raises:
        ValueError: ``anchor`` is unknown, ``landing_weight`` is outside [0, 1], or a size is not
            above 0.
    """

    def __init__(
        self,
        *,
        affinity: Mapping[str, object] | Affinity | None = None,
        sigma: float = 3.0,
        landing_weight: float = 0.5,
        anchor: str = 'landing',
        click_radius: float | None = 2.0,
        click_weight: float = 0.0,
        connected: bool = True,
        stride: int = 1,
        window: int = 256,
    ) -> None:
        if anchor not in ANCHORS:
            raise ValueError(f'expected anchor to be one of {ANCHORS}, got {anchor!r}')
        if not 0 <= landing_weight <= 1:
            raise ValueError(f'expected landing_weight in [0, 1], got {landing_weight}')
        for name, value in (('sigma', sigma), ('stride', stride), ('window', window)):
            if not value > 0:
                raise ValueError(f'expected {name} > 0, got {value}')
        if click_radius is not None and click_radius < 0:
            raise ValueError(f'expected click_radius >= 0 or None, got {click_radius}')
        if not 0 <= click_weight <= 1:
            raise ValueError(f'expected click_weight in [0, 1], got {click_weight}')
        self.affinity: Affinity | None = (
            TASK_UTILS.build(affinity) if isinstance(affinity, Mapping) else affinity
        )
        self.sigma = sigma
        self.landing_weight = landing_weight
        self.anchor = anchor
        self.click_radius = click_radius
        self.click_weight = click_weight
        self.connected = connected
        self.stride = stride
        self.window = window

    @property
    def needs_embedding(self) -> bool:
        """Whether calls need an embedding."""
        of_affinity = self.affinity is not None and self.affinity.needs_embedding
        return of_affinity or self.click_weight > 0

    @torch.no_grad()
    def assign(
        self,
        probs: Tensor,
        offset: Tensor,
        points_xy: Tensor,
        channels: Tensor,
        *,
        image: Tensor | None = None,
        embedding: Tensor | None = None,
        valid: Tensor | None = None,
        connect: bool = True,
        memo: AssignmentMemo | None = None,
        given: GivenMasks | None = None,
    ) -> InstanceAssignment:
        """Assign the pixels of one image.

        Args:
            probs: ``(V, H, W)`` floats >= 0, background first; only their shares matter.
            offset: ``(2, H, W)`` floats ``(dx, dy)`` in pixels of this frame.
            points_xy: ``(N, 2)`` floats, all inside this frame.
            channels: ``(N,)`` int64, the channel of ``probs`` of each point's class.
            image: ``(C, H, W)`` floats; neither scale nor offset of a channel matters. Needed for
                an affinity.
            embedding: ``(D, h, w)`` floats on any grid of the same frame; None if
                ``needs_embedding`` is False.
            valid: ``(H, W)`` bool, the pixels of the image; the rest is padding.
            connect: whether to :meth:`connect` the instances. For a batch on a GPU, it is faster to
                do this for all images at once.
            memo: empty at first; calls with the same arguments but other ``points_xy`` and
                ``channels`` compute only the windows in which other points have a share. None: all
                windows are computed.
            given: masks and boxes of some of the points, in this frame. A mask is fixed as the
                clicks are, and whole, whether it hangs together or not; outside of its mask or box,
                a point has no share. None: there are none.

        Returns:
            InstanceAssignment: on the device of ``probs``.

        Raises:
            ValueError: there is an affinity and no image, or an embedding is needed and missing.
        """
        if self.click_weight > 0 and embedding is None:
            raise ValueError('expected an embedding for the affinity of the clicks, got none')
        if self.affinity is not None and image is None:
            raise ValueError('expected an image for the propagation of instance scores, got none')
        height, width = probs.shape[1:]
        points_xy, anchors, landing = self._positions(offset, points_xy)
        click_vectors = None
        if self.needs_embedding and embedding is not None:
            cells = (math.ceil(height / self.stride), math.ceil(width / self.stride))
            embedding = resize_scores(embedding[None].float(), cells)[0]
            columns, rows = points_xy.div(self.stride, rounding_mode='floor').long().T
            click_vectors = embedding[:, rows, columns].T  # (N, D)
        instance_map = torch.zeros(height, width, dtype=torch.int32, device=probs.device)
        channel_map = torch.zeros_like(instance_map, dtype=torch.int64)
        confidence = torch.zeros_like(instance_map, dtype=torch.float32)
        windows = list(self._windows(height, width))
        for inner, outer in windows:
            x, y = points_xy.unbind(1)
            # not a tensor of the corner: to copy it to a GPU, the host waits
            local_xy = torch.stack([x - outer[1].start, y - outer[0].start], dim=1)
            parts = _crop(probs, outer).float(), _crop(landing, outer)
            near = torch.arange(len(anchors), device=probs.device)
            if len(windows) > 1:  # on a GPU, the host has to wait for their number
                near = self._near_points(*parts, anchors, local_xy, channels, given, outer)
            key: tuple[Tensor, ...] = (points_xy[near], anchors[near], channels[near])
            of_window = None
            if given is not None:
                of_window = given.of_points(near).cropped(outer)
                key += of_window.points, of_window.limits, of_window.is_mask
            known = None if memo is None else memo.windows.get(_ends(inner))
            if known is not None and _same(known[0], key):
                owners, *result = known[1]
            else:
                of_image = None
                if memo is not None and memo.affinity is not None:
                    of_image = memo.affinity.setdefault(_ends(outer), {})
                scores, sums = self._window_scores(
                    *parts,
                    anchors[near],
                    local_xy[near],
                    channels[near],
                    image=None if image is None else _crop(image, outer),
                    embedding=None if embedding is None else _crop(embedding, self._cells(outer)),
                    click_vectors=None if click_vectors is None else click_vectors[near],
                    valid=None if valid is None else valid[outer],
                    memo=of_image,
                    given=of_window,
                )
                rows, columns = _relative(inner, outer)
                owners, *result = best_instances(
                    scores[:, rows, columns],
                    channels[near],
                    len(probs),
                    sums=None if sums is None else sums[:, rows, columns],
                )
                if memo is not None:
                    memo.windows[_ends(inner)] = key, (owners, *result)
            channel_map[inner], confidence[inner] = result
            numbers = torch.cat([near.new_zeros(1), near + 1]).int()
            instance_map[inner] = numbers[owners.long()]
        if connect:
            instance_map = self.connect(instance_map[None], points_xy[None], [given])[0]
        return InstanceAssignment(instance_map, channel_map, confidence)

    @torch.no_grad()
    def assign_batch(
        self,
        probs: Tensor,
        offset: Tensor,
        points_xy: Tensor,
        channels: Tensor,
        *,
        image: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> InstanceAssignment:
        """Assign the pixels of a batch; the result is that of :meth:`assign`, image by image.

        On a GPU, this takes as many operations as one image. All points count in all windows. Not
        for a scorer that needs an embedding. Instances are not :meth:`connect`-ed yet.

        Args:
            probs: ``(B, V, H, W)`` floats >= 0, background first; 0 for padded values.
            offset: ``(B, 2, H, W)``.
            points_xy, channels: see :class:`mmp2seg.codecs.PointBatch`.
            image: ``(B, C, H, W)``; needed for an affinity.
            valid: ``(B, H, W)`` bool.

        Returns:
            InstanceAssignment: with maps of ``(B, H, W)``.

        Raises:
            ValueError: the scorer needs an embedding, or there is an affinity and no image.
        """
        if self.needs_embedding:
            raise ValueError('expected a scorer without an embedding for a batch')
        if self.affinity is not None and image is None:
            raise ValueError('expected an image for the propagation of instance scores, got none')
        height, width = probs.shape[-2:]
        points_xy, anchors, landing = self._positions(offset, points_xy)
        instance_map = probs.new_zeros(len(probs), height, width, dtype=torch.int32)
        channel_map = torch.zeros_like(instance_map, dtype=torch.int64)
        confidence = torch.zeros_like(instance_map, dtype=torch.float32)
        for inner, outer in self._windows(height, width):
            x, y = points_xy.unbind(-1)
            scores, sums = self._window_scores(
                _crop(probs, outer).float(),
                _crop(landing, outer),
                anchors,
                torch.stack([x - outer[1].start, y - outer[0].start], dim=-1),
                channels,
                image=None if image is None else _crop(image, outer),
                valid=None if valid is None else _crop(valid, outer),
            )
            rows, columns = _relative(inner, outer)
            found = best_instances(
                scores[..., rows, columns],
                channels,
                probs.shape[1],
                sums=None if sums is None else sums[..., rows, columns],
            )
            for whole, part in zip((instance_map, channel_map, confidence), found, strict=True):
                whole[:, inner[0], inner[1]] = part
        return InstanceAssignment(instance_map, channel_map, confidence)

    def connect(
        self,
        instance_maps: Tensor,
        points_xy: Tensor,
        given: Sequence[GivenMasks | None],
    ) -> Tensor:
        """Take away what is not connected with its click, if ``connected``, but for masks.

        See :func:`mmp2seg.ops.components.keep_connected`.
        """
        if not self.connected:
            return instance_maps
        connected = keep_connected(instance_maps, points_xy)
        if all(of_image is None for of_image in given):
            return connected
        return torch.stack(
            [
                instance_map if of_image is None else of_image.paint(instance_map)
                for instance_map, of_image in zip(connected, given, strict=True)
            ]
        )

    def _positions(self, offset: Tensor, points_xy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the points, what landings are compared with, and where the pixels land."""
        partial = self.landing_weight * offset.float()
        points_xy = points_xy.to(partial)
        anchors = points_xy
        if self.anchor == 'landing' and points_xy.shape[-2]:
            anchors = points_xy + offsets_at_points(partial, points_xy)
        return points_xy, anchors, landing_positions(partial)

    def _windows(self, height: int, width: int) -> Iterator[tuple[Box, Box]]:
        """Yield windows without and with what the affinity reaches."""
        reach = 0 if self.affinity is None else self.affinity.reach
        if reach is None:
            return overlapping_windows(height, width, max(height, width), 0)
        # 1: of the bilinear steps between the grids
        margin = (reach + (self.stride > 1)) * self.stride
        side = self.window * self.stride
        return overlapping_windows(height, width, side, margin, step=self.stride)

    def _cells(self, window: Box) -> Box:
        """Return the cells of a window, which starts at a cell's corner."""
        rows, columns = (
            slice(side.start // self.stride, math.ceil(side.stop / self.stride)) for side in window
        )
        return rows, columns

    def _near_points(
        self,
        probs: Tensor,
        landing: Tensor,
        anchors: Tensor,
        points_xy: Tensor,
        channels: Tensor,
        given: GivenMasks | None,
        window: Box,
    ) -> Tensor:
        """Return the indices of the points that can have a share of a window, ``(n,)`` int64."""
        height, width = probs.shape[1:]
        near = near_points(landing, anchors, channels, sigma=self.sigma, negligible=_NEGLIGIBLE)
        x, y = points_xy.T
        margin = self.click_radius or 0
        # a point may have a click here that its class does not land at
        near |= (x >= -margin) & (x < width + margin) & (y >= -margin) & (y < height + margin)
        if given is not None:  # or a part of its mask
            near[given.points] |= given.cropped(window).limits.flatten(1).any(1) & given.is_mask
        return near.nonzero()[:, 0]

    def _window_scores(
        self,
        probs: Tensor,
        landing: Tensor,
        anchors: Tensor,
        points_xy: Tensor,
        channels: Tensor,
        *,
        image: Tensor | None,
        embedding: Tensor | None = None,
        click_vectors: Tensor | None = None,
        valid: Tensor | None,
        memo: dict[str, Any] | None = None,
        given: GivenMasks | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the instance scores of a window for the points that have a share of it.

        Of a batch, all with a leading dimension; without embedding, memo and given.

        Returns:
            tuple: ``(..., n + 1, H, W)`` scores; ``(..., V, H, W)``, their sum per class, or None.
        """
        height, width = probs.shape[-2:]
        options = dict(sigma=self.sigma)
        if self.stride > 1:
            probs, landing = _pooled(probs, self.stride), _pooled(landing, self.stride)
            image = None if image is None else _pooled(image, self.stride)
            if valid is not None:
                valid = _pooled(valid.unsqueeze(-3).float(), self.stride).squeeze(-3) > 0.5
        probs = probs / probs.sum(-3, keepdim=True).clamp_min(1e-12)
        scores = instance_scores(probs, landing, anchors, channels, **options)
        if self.click_weight > 0:
            assert embedding is not None and click_vectors is not None
            products = torch.einsum('nd,dhw->nhw', click_vectors, embedding)
            # Of the clicks that a pixel may belong to by its landing. So far clicks do not count,
            # and the result does not depend on the window.
            shares = instance_scores(torch.ones_like(probs), landing, anchors, channels, **options)[
                :-1
            ]
            scores = with_click_affinities(
                scores, products.sigmoid() * shares, weight=self.click_weight
            )
        fixed = None
        if self.click_radius is not None:
            scores, fixed = fix_clicks(
                scores, points_xy / self.stride, radius=self.click_radius / self.stride
            )
        if given is not None:
            scores, known = given.pooled(self.stride).fix(scores)
            fixed = known if fixed is None else fixed | known
        if self.affinity is not None:
            assert image is not None
            if scores.dim() == 4:
                scores = propagate_batch(
                    self.affinity, scores, image=image, valid=valid, fixed=fixed
                )
            else:
                scores = self.affinity(
                    scores, image=image, embedding=embedding, valid=valid, fixed=fixed, memo=memo
                )
        sums = None
        if self.stride > 1:
            # the sums of a few cells, and not of all pixels
            sums = class_scores(scores, channels, probs.shape[-3])
            scores, sums = (
                _enlarged(maps, self.stride, (height, width)) for maps in (scores, sums)
            )
        return (scores, sums) if given is None else (given.fix(scores)[0], None)


def _relative(inner: Box, outer: Box) -> Box:
    """Return rows and columns of a box in a box around it."""
    rows, columns = (
        slice(one.start - other.start, one.stop - other.start)
        for one, other in zip(inner, outer, strict=True)
    )
    return rows, columns


def _ends(box: Box) -> _Window:
    """Return the ends of a window's rows and columns, as slices are no keys."""
    return box[0].start, box[0].stop, box[1].start, box[1].stop


def _same(first: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    return len(first) == len(other) and all(map(torch.equal, first, other))


def _crop(values: Tensor, box: Box) -> Tensor:
    """Cut rows and columns out of ``(..., H, W)`` maps."""
    return values[..., box[0], box[1]]


def _enlarged(values: Tensor, stride: int, size: tuple[int, int]) -> Tensor:
    """Resize ``(..., C, h, w)`` maps of cells bilinearly to pixels, and cut the frame out."""
    batch = values.view(-1, *values.shape[-3:])
    # by the stride and not to the size: the last cells may have fewer pixels
    batch = F.interpolate(batch, scale_factor=stride, mode='bilinear')
    return batch.view(*values.shape[:-2], *batch.shape[-2:])[..., : size[0], : size[1]]


def _pooled(values: Tensor, stride: int) -> Tensor:
    """Average ``(..., C, H, W)`` maps over cells; those at the border may have fewer pixels."""
    batch = values.reshape(-1, *values.shape[-3:])
    pooled = F.avg_pool2d(batch, stride, ceil_mode=True, count_include_pad=False)
    return pooled.view(*values.shape[:-2], *pooled.shape[-2:])
