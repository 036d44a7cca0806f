"""The point codec, one image at a time: initial labels, refined targets, decoding."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from mmp2seg.analysis.benchmarks.scene import make_scene, network_maps
from mmp2seg.codecs import InstanceDecoder, PointPseudoLabeler
from mmp2seg.ops.components import find_regions
from mmp2seg.ops.semantic_scores import image_values, value_probs

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
    decoder = InstanceDecoder(labeler=labeler)
    regions = find_regions(scene.weak_map, scene.labels).to(device)
    points_xy = torch.from_numpy(scene.points_xy).to(device)
    labels = torch.from_numpy(scene.labels).to(device)
    point_regions = labeler.point_regions(points_xy, labels, regions)
    small = [values.to(device) for values in network_maps(scene, channels=1)[:2]]
    logits, offset = (_upsample(values, size) for values in small)

    def refine() -> object:
        return labeler.targets(
            points_xy, region_map=regions.region_map, point_regions=point_regions, offset=offset[0]
        )

    def decode(logits: torch.Tensor, offset: torch.Tensor) -> object:
        values = image_values(labels)
        scores = value_probs(logits, values, size)[0]
        return decoder.decode(scores, offset[0], points_xy, labels, values=values)

    return {
        INITIAL: lambda: labeler.encode(scene.points_xy, scene.labels, scene.weak_map),
        REFINED: refine,
        DECODED: lambda: decode(logits, offset),
        UPSAMPLED: lambda: decode(small[0], _upsample(small[1], size)),
    }


def _upsample(values: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(values, size=size, mode='bilinear', align_corners=False)
