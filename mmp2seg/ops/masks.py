"""Convert between instance maps, masks and boxes."""

import torch
from torch import Tensor


def masks_to_instance_map(masks: Tensor) -> Tensor:
    """Draw masks as one instance map; where masks overlap, the later one wins.

    Args:
        masks: ``(N, H, W)`` bool.

    Returns:
        Tensor: ``(H, W)`` int32, 0 = none, ``1..N`` in the order of the masks.
    """
    num, height, width = masks.shape
    if num == 0:
        return torch.zeros(height, width, dtype=torch.int32, device=masks.device)
    ids = torch.arange(1, num + 1, device=masks.device, dtype=torch.int32)
    return (masks * ids[:, None, None]).amax(dim=0)


def masks_to_boxes_xyxy(masks: Tensor) -> Tensor:
    """Return the tight boxes ``[x1, y1, x2, y2)`` of masks in continuous coordinates.

    Args:
        masks: ``(N, H, W)`` bool.

    Returns:
        Tensor: ``(N, 4)`` float32; zeros for an empty mask.
    """
    num = masks.shape[0]
    boxes = torch.zeros(num, 4, device=masks.device)
    if num == 0:
        return boxes
    for axis, occupied in ((0, masks.any(dim=1)), (1, masks.any(dim=2))):  # (N, W), (N, H)
        size = occupied.shape[1]
        present = occupied.byte()
        boxes[:, axis] = present.argmax(dim=1).float()
        boxes[:, axis + 2] = size - present.flip(1).argmax(dim=1).float()
    return boxes * masks.any(dim=2).any(dim=1)[:, None]


def mean_over_instances(values: Tensor, instance_map: Tensor, num_instances: int) -> Tensor:
    """Average a pixel map over each instance.

    Args:
        values: ``(H, W)`` floats.
        instance_map: ``(H, W)`` integers, 0 = none, ``1..num_instances``.

    Returns:
        Tensor: ``(num_instances,)`` float32; 0 for an instance without pixels.
    """
    flat = instance_map.reshape(-1).long()
    sums = torch.zeros(num_instances + 1, dtype=torch.float64, device=flat.device)
    sums.index_add_(0, flat, values.reshape(-1).double())
    counts = torch.bincount(flat, minlength=num_instances + 1).clamp(min=1)
    return (sums / counts)[1:].float()


def cut_instances(
    instance_map: Tensor, numbers: Tensor, values: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the masks of the instances that have pixels, and their mean values.

    Args:
        instance_map: ``(H, W)`` integers, 0 = none.
        numbers: ``(N,)`` int64, the number of each instance in the map, 0 = none. Several instances
            may have the same number.
        values: ``(H, W)`` floats.

    Returns:
        tuple: the ``(M, H, W)`` bool masks; the mean of ``values`` over each mask, ``(M,)``
        float32; and ``(N,)`` bool, which of the N instances these are.
    """
    highest = [int(found.max()) for found in (instance_map, numbers) if found.numel()]
    count = max(highest, default=0)
    areas = torch.bincount(instance_map.flatten().long(), minlength=count + 1)
    keep = (numbers > 0) & (areas[numbers] > 0)
    kept = numbers[keep]
    means = mean_over_instances(values, instance_map, count)[kept - 1]
    return instance_map == kept.to(instance_map.dtype)[:, None, None], means, keep
