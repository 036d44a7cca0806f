"""Pseudo labels in a COCO json, with the scores that mmdet's data set leaves out."""

from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations

from mmp2seg.files.json_reading import is_finite_number
from mmp2seg.ops.polygons import mask_to_polygons
from mmp2seg.ops.rle import decode_rle, segmentation_to_rle
from mmp2seg.registry import DATASETS


@DATASETS.register_module()
class PseudoLabelCocoDataset(CocoDataset):
    """mmdet's CocoDataset, whose ``instances`` also have a ``score``.

    An annotation without a score, as in a file of true instances, has the score 1. The semantic map
    of an image is ``<name>.png`` in the folder ``data_prefix['seg']``, if there is one.

    Where the pipeline loads masks with ``poly2mask=False`` (RTMDet-Ins, CondInst), mmdet would
    leave out every mask that is no polygon, without a word: there the masks are handed on as
    polygons, with their holes filled. Arguments as of mmdet's ``CocoDataset``.
    """

    def prepare_data(self, idx: int) -> dict | None:
        """As of mmengine, with the masks in the form that the pipeline reads."""
        entry = self.get_data_info(idx)  # not in there: batch samplers call it for every image
        if any(_reads_polygons_alone(step) for step in self.pipeline.transforms):
            for instance in entry['instances']:
                if isinstance(instance.get('mask'), dict):
                    rle = segmentation_to_rle(instance['mask'], entry['height'], entry['width'])
                    instance['mask'] = mask_to_polygons(decode_rle(rle))
        return self.pipeline(entry)

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """mmdet's entry of an image, with scores.

        Raises:
            ValueError: a score below 0 or that is not finite; names file and annotation.
        """
        annotations = raw_data_info['raw_ann_info']
        # mmdet skips annotations without telling which, so it is asked for one after the other
        entry = super().parse_data_info({**raw_data_info, 'raw_ann_info': []})
        for annotation in annotations:
            parsed = super().parse_data_info({**raw_data_info, 'raw_ann_info': [annotation]})
            for instance in parsed['instances']:
                instance['score'] = self._score_of(annotation)
                entry['instances'].append(instance)
        return entry

    def _score_of(self, annotation: dict) -> float:
        score = annotation.get('score', 1.0)
        if not (is_finite_number(score) and score >= 0):
            raise ValueError(
                f'{self.ann_file}: annotation {annotation["id"]}: expected a score of at least 0, '
                f'got {score!r}'
            )
        return float(score)


def _reads_polygons_alone(step: object) -> bool:
    return isinstance(step, LoadAnnotations) and step.with_mask and not step.poly2mask
