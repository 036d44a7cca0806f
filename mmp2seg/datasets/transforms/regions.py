"""Find the regions of the weak semantic map."""

from mmcv.transforms import BaseTransform

from mmp2seg.deprecation import warn_deprecated
from mmp2seg.ops.components import find_regions
from mmp2seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class FindRegions(BaseTransform):
    """Find the regions of the weak map, after all geometric transforms.

    A region is a connected component of a class for which the image has points. The model's labeler
    decides which region a point belongs to and which regions are too small. Therefore this step has
    no options that could contradict the labeler.

    Required Keys:

    - gt_bboxes (PointBoxes)
    - gt_bboxes_labels
    - gt_seg_map

    Added Keys:

    - gt_regions (:class:`mmp2seg.ops.components.Regions`)
    """

    def transform(self, results: dict) -> dict:
        """Add the regions to ``results``.

        Raises:
            ValueError: image and map have different sizes because a transform moved only one of
                them, or a point lies outside the map.
        """
        image, semantic_map = results.get('img'), results['gt_seg_map']
        if image is not None and image.shape[:2] != semantic_map.shape:
            raise ValueError(
                f"{results.get('img_path')}: expected a semantic map of the image's size "
                f'{image.shape[:2]}, got {semantic_map.shape}: a transform moved the image alone '
                '(mmp2seg.RandomAffine and mmp2seg.CachedMosaic move both)'
            )
        points = results['gt_bboxes']
        inside = points.is_inside(semantic_map.shape)
        if not inside.all():
            height, width = semantic_map.shape
            raise ValueError(
                f'{results.get("img_path")}: expected points inside the {width} x {height} map, '
                f'got {points.tensor[~inside][0].tolist()}'
            )
        results['gt_regions'] = find_regions(semantic_map, results['gt_bboxes_labels'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class GeneratePointTargets(FindRegions):
    """Deprecated name of :class:`FindRegions`; the model makes the targets now.

    Args:
        labeler: ignored; the labeler of the model (or of mmseg's auxiliary heads) applies.
    """

    def __init__(self, *, labeler: dict | None = None) -> None:
        rules = {key: value for key, value in (labeler or {}).items() if key != 'type'}
        ignored = f' Its labeler ({rules}) is ignored.' if rules else ''
        warn_deprecated(
            "type='mmp2seg.GeneratePointTargets' is deprecated: write "
            "dict(type='mmp2seg.FindRegions'). The targets follow model.labeler, or the labeler of "
            f'the auxiliary heads.{ignored}'
        )
