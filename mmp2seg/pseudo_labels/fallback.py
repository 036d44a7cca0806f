"""Take the masks of points that a network does not see from the labels that it was trained on.

A network that was trained on masks made of points can lose points: a click whose pixel the network
calls background, or another class. On 121 photographs of 20 classes, two thirds of the clicks were
lost (docs/ablations.md).
"""

from collections import defaultdict
from pathlib import Path

from pycocotools import mask as mask_utils

from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import Entry, assemble, check_same, load, mask_entries


def with_fallback(
    labels_path: str | Path, start_path: str | Path, *, min_click_score: float = 0.5
) -> tuple[Entry, int]:
    """Replace the masks of points whose class the network does not see at the click.

    A point with a ``click_score`` below ``min_click_score``, or without a mask, gets the mask that
    it has in the other file, less the pixels of masks that stay. It keeps its own mask if it has
    none there, or if nothing of that one is left. True masks are not replaced.

    Args:
        labels_path: pseudo labels of the network, with ``click_score``.
        start_path: pseudo labels of the same points, such as those that the maps of the training
            were made with.
        min_click_score: a probability.

    Returns:
        tuple: the content of a pseudo label json, and the number of points with a mask of the
        other file.

    Raises:
        ValueError: a file is broken, an annotation has no ``click_score``, or images or categories
            differ; names the file.
    """
    labels, start = load(labels_path), load(start_path)
    check_same(labels_path, labels, start_path, start)
    others = {(ann['image_id'], ann['point_id']): ann for ann in start['annotations']}
    kept: list[Entry] = []
    unsure: list[Entry] = []
    for ann in labels['annotations']:
        if 'click_score' not in ann:
            raise ValueError(
                f'{labels_path}: image {ann["image_id"]}, point {ann["point_id"]}: expected a '
                'click_score, which a P2Seg network gives, got none'
            )
        is_true = ann.get('supervision') == 'mask'
        (unsure if ann['click_score'] < min_click_score and not is_true else kept).append(ann)
    taken: list[Entry] = []
    dropped: list[Entry] = []
    occupied = _unions(kept)
    for own in [*unsure, *labels['dropped_points']]:
        key = own['image_id'], own['point_id']
        replaced = _without(others[key], occupied.get(own['image_id'])) if key in others else None
        if replaced is not None:
            of_point = {key: own[key] for key in ('click_score', 'supervision') if key in own}
            taken.append({**replaced, **of_point})
        elif 'reason' in own:
            dropped.append(own)
        else:
            kept.append(own)
    info = {**labels['info'], 'fallback': Path(start_path).name, 'num_fallback': len(taken)}
    content = assemble(labels['images'], labels['categories'], [*kept, *taken], dropped, info)
    return content, len(taken)


def _unions(annotations: list[Entry]) -> dict[int, Entry]:
    """Return an RLE of all masks of each image."""
    masks = defaultdict(list)
    for ann in annotations:
        masks[ann['image_id']].append(ann['segmentation'])
    return {image_id: mask_utils.merge(of_image) for image_id, of_image in masks.items()}


def _without(ann: Entry, occupied: Entry | None) -> Entry | None:
    """Return an annotation without the pixels of an RLE; None if it has no others."""
    if occupied is None:
        return ann
    mask = mask_utils.decode(ann['segmentation']).astype(bool)
    mask &= ~mask_utils.decode(occupied).astype(bool)
    if not mask.any():
        return None
    return {**ann, **mask_entries(encode_rle(mask))}
