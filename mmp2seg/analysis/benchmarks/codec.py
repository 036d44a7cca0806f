"""The point codec, one image at a time: initial labels, refined targets, decoding."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from mmp2seg.analysis.benchmarks.scene import make_scene, network_maps
from mmp2seg.codecs import PointPseudoLabeler

INITIAL, REFINED = 'initial labels', 'refined targets'
DECODED, UPSAMPLED = 'decoding, logits to masks', 'decoding, stride 4 to masks'


def codec_calls(
    num_points: int, size: tuple[int, int], *, device: str = 'cpu'
) -> dict[str, Callable[[], object]]:
    """Return calls of the codec on an image.

    Args:
        num_points: points of the image.
        size: ``(H, W)``.
        device: of the network's maps; initial labels are computed on the CPU.

    Returns:
        dict: calls by name. Decoding includes the softmax over 21 classes, and :data:`UPSAMPLED`
        also the upsampling of logits and offsets.
    """
    scene = make_scene(num_points, size)
    labeler = PointPseudoLabeler(min_region_area=50)  # as for VOC
    targets = labeler.encode(scene.points_xy, scene.labels, scene.weak_map)
    regions = dict(
        region_map=targets.region_map.to(device), point_regions=targets.point_regions.to(device)
    )
    points_xy = torch.from_numpy(scene.points_xy).to(device)
    labels = torch.from_numpy(scene.labels).to(device)
    small = [values.to(device) for values in network_maps(scene, channels=1)[:2]]
    logits, offset = (_upsample(values, size) for values in small)

    def decode(logits: torch.Tensor, offset: torch.Tensor) -> object:
        return labeler.decode(logits.softmax(dim=1)[0], offset[0], points_xy, labels)

    return {
        INITIAL: lambda: labeler.encode(scene.points_xy, scene.labels, scene.weak_map),
        REFINED: lambda: labeler.refine(offset[0], points_xy, **regions),
        DECODED: lambda: decode(logits, offset),
        UPSAMPLED: lambda: decode(*(_upsample(values, size) for values in small)),
    }


def _upsample(values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(values, size=size, mode='bilinear', align_corners=False)
