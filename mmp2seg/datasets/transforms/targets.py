"""Targets from points and the weak semantic map."""

from mmcv.transforms import BaseTransform

from mmp2seg.registry import TASK_UTILS, TRANSFORMS


@TRANSFORMS.register_module()
class GeneratePointTargets(BaseTransform):
    """Encode points and weak map into the initial targets, after all geometric transforms.

    Required Keys:

    - gt_bboxes (PointBoxes)
    - gt_bboxes_labels
    - gt_seg_map

    Added Keys:

    - gt_point_targets (:class:`mmp2seg.codecs.PointTargets`)

    Args:
        labeler: config of a :class:`mmp2seg.codecs.PointPseudoLabeler`; the same one as the
            model's, so that initial targets, refined targets and instances follow one rule.
    """

    def __init__(self, *, labeler: dict) -> None:
        self.labeler = TASK_UTILS.build(labeler)

    def transform(self, results: dict) -> dict:
        """Add the targets to ``results``.

        Raises:
            ValueError: if image and map have different sizes: a transform moved one of them alone.
        """
        image, semantic_map = results.get('img'), results['gt_seg_map']
        if image is not None and image.shape[:2] != semantic_map.shape:
            raise ValueError(
                f"{results.get('img_path')}: expected a semantic map of the image's size "
                f'{image.shape[:2]}, got {semantic_map.shape}: a transform moved the image alone '
                '(mmp2seg.RandomAffine and mmp2seg.CachedMosaic move both)'
            )
        results['gt_point_targets'] = self.labeler.encode(
            results['gt_bboxes'].numpy(), results['gt_bboxes_labels'], results['gt_seg_map']
        )
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(labeler={self.labeler!r})'
