"""Every field that mmp2seg adds to an ``mmdet.structures.DetDataSample``.

All are plain attributes of the data sample. ``H, W`` are the height and width of the frame: the
network's input for ``gt_*``, the original image for ``pred_*`` and ``dropped_points``.

``gt_instances`` (InstanceData)
    ``points`` (N, 2) float32 (x, y); ``labels`` (N,) int64; ``point_ids`` (N,) int64, how the
    annotation calls the point; ``point_regions`` (N,) int64, the point's entry in ``region_map``.
``gt_sem_seg`` (PixelData)
    ``sem_seg`` (1, H, W) uint8: the WEAK semantic map, 0 background, k + 1 class k, 255 ignore.
``gt_point_targets`` (PixelData)
    ``instance_map`` and ``region_map`` (1, H, W) int32, ``offset`` (2, H, W) and
    ``offset_weight`` (1, H, W) float32, as :class:`mmp2seg.codecs.PointTargets` describes them.
``pred_instances`` (InstanceData)
    ``masks`` (M, H, W) bool; ``labels`` (M,) int64; ``scores`` (M,) float32; ``points`` (M, 2);
    ``point_ids`` (M,) int64; ``bboxes`` (M, 4) float32 xyxy.
``dropped_points`` (InstanceData)
    ``points`` (D, 2); ``labels`` (D,); ``point_ids`` (D,); ``reasons``, a list of D str.
``pred_sem_seg`` (PixelData), on request
    ``sem_seg`` (1, H, W) int64, the map that the instances were cut from.
``pred_offset`` (PixelData), on request
    ``offset`` (2, H, W) float32 (dx, dy) in pixels.
"""

# What padding means for each pixel field: it belongs to nothing and is never background.
PIXEL_FIELD_PADDING = {
    'gt_sem_seg': {'sem_seg': 255},
    'gt_point_targets': {'instance_map': 0, 'region_map': 0, 'offset': 0, 'offset_weight': 0},
}
