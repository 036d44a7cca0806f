"""List of the fields that mmp2seg adds to an ``mmdet.structures.DetDataSample``.

All fields are plain attributes of the data sample. ``H, W`` are the height and width of the frame:
the network's input for ``gt_*``, the original image for ``ori_points``, ``pred_*`` and
``dropped_points``.

``ori_points`` (InstanceData)
    All points of the image as its file gives them; only ``DriftPoints`` changes them.
    ``points`` (N, 2) float64 (x, y) in the original image; ``labels`` (N,) int64;
    ``point_ids`` (N,) int64, the ids of the annotation file. If the image has true masks or boxes:
    ``supervision``, a list of N kinds, and ``given``, a list of N RLEs or None. Inference reads
    these points, and results report their coordinates and ids.
``gt_instances`` (InstanceData)
    The points that the transforms kept, in the input frame; training reads them.
    ``points`` (N, 2) float32 (x, y); ``labels`` (N,) int64; ``point_ids`` (N,) int64.
``gt_sem_seg`` (PixelData)
    ``sem_seg`` (1, H, W) uint8: the WEAK semantic map, 0 background, k + 1 class k, 255 ignore.
``gt_region_map`` (PixelData)
    ``region_map`` (1, H, W) int32: the regions of the weak map, 0 = none, 1..R.
``gt_regions`` (InstanceData)
    ``labels`` (R,) int64 and ``areas`` (R,) int64 of these regions; see
    :class:`mmp2seg.ops.components.Regions`.
``gt_given`` (InstanceData), ``gt_given_masks`` (PixelData), of an image with true masks or boxes
    ``indices`` (L,) int64 in ``gt_instances``; ``is_mask`` (L,) bool, a mask, not a box; ``limits``
    (L, H, W) bool, their pixels.
``pred_instances`` (InstanceData)
    ``masks`` (M, H, W) bool; ``labels`` (M,) int64; ``scores`` (M,) float32; ``bboxes`` (M, 4)
    float32 xyxy; ``points`` (M, 2) float64 and ``point_ids`` (M,) int64, from ``ori_points``;
    ``click_scores`` (M,) float32 (P2Seg): the network's own probability of the class at the point;
    ``supervision``, a list of M kinds, if ``ori_points`` has it.
``dropped_points`` (InstanceData)
    ``points`` (D, 2) float64; ``labels`` (D,); ``point_ids`` (D,); ``reasons``, a list of D str,
    keys of :data:`mmp2seg.codecs.DROP_REASONS`.
``pred_sem_seg`` (PixelData), on request
    ``sem_seg`` (1, H, W) int64, the map that the instances were cut from; ``confidence``
    (1, H, W) float32, the score of its value.
``pred_offset`` (PixelData), on request
    ``offset`` (2, H, W) float32 (dx, dy) in pixels.
"""

# Padding value of each pixel field. Padding is ignored or belongs to no region; it is never
# background.
PIXEL_FIELD_PADDING = {
    'gt_sem_seg': {'sem_seg': 255},
    'gt_region_map': {'region_map': 0},
    'gt_given_masks': {'limits': 0},
}
