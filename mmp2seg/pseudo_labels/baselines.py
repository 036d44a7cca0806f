"""Pseudo labels without a network: instances straight from points and the weak semantic map."""

import numpy as np
import torch

from mmp2seg.codecs import PointInstances, PointPseudoLabeler
from mmp2seg.ops.coords import misplaced_points
from mmp2seg.ops.masks import instance_map_to_masks

BASELINE_RULES = ('component', 'nearest')


def baseline_instances(
    points_xy: np.ndarray,
    labels: np.ndarray,
    semantic_map: np.ndarray,
    *,
    rule: str,
    labeler: PointPseudoLabeler,
) -> PointInstances:
    """Instances of one image, cut from its semantic map by its points.

    Args:
        points_xy: ``(N, 2)`` floats ``(x, y)`` in the map's frame; points outside are dropped.
        labels: ``(N,)`` integers ``0..K-1``.
        semantic_map: ``(H, W)`` integers, 0 background, ``k + 1`` class ``k``, 255 ignore.
        rule: ``'component'``: each point gets the whole region it belongs to, so that masks of
            points of one region are the same; ``'nearest'``: the labeler's initial targets, a
            region's pixels go to its nearest point (for a labeler with ``conflict='nearest'``).
        labeler: says which region a point belongs to.

    Returns:
        PointInstances: on the CPU, every score 1; none for an image without points.

    Raises:
        ValueError: for an unknown ``rule``.
    """
    if rule not in BASELINE_RULES:
        raise ValueError(f'expected rule to be one of {BASELINE_RULES}, got {rule!r}')
    points_xy = np.asarray(points_xy, dtype=np.float32).reshape(-1, 2)
    labels = np.asarray(labels, dtype=np.int64)
    reasons = misplaced_points(points_xy, labels, *semantic_map.shape)
    sound = np.flatnonzero(reasons == '')
    targets = labeler.encode(points_xy[sound], labels[sound], semantic_map)
    regions = targets.point_regions[:, None, None]
    if rule == 'component':
        masks = (targets.region_map == regions) & (regions > 0)
    else:
        masks = instance_map_to_masks(targets.instance_map, len(sound))
    filled = masks.flatten(1).any(1)
    reasons[sound] = np.where(targets.point_regions > 0, 'no_pixels', 'no_region')
    reasons[sound[filled.numpy()]] = ''
    dropped = np.flatnonzero(reasons != '')
    return PointInstances(
        masks=masks[filled],
        scores=torch.ones(int(filled.sum())),
        kept=torch.from_numpy(np.flatnonzero(reasons == '')),
        dropped=torch.from_numpy(dropped),
        reasons=reasons[dropped].tolist(),
        semantic_map=torch.from_numpy(semantic_map.astype(np.int64)),
    )
