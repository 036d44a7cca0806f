"""Dataset of pseudo labels in a COCO json, including scores, which mmdet's dataset drops."""

from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations

from mmp2seg.datasets.coco_content import check_segmentations
from mmp2seg.files.json_reading import is_finite_number
from mmp2seg.ops.polygons import mask_to_polygons
from mmp2seg.ops.rle import decode_rle, segmentation_to_rle
from mmp2seg.registry import DATASETS


@DATASETS.register_module()
class PseudoLabelCocoDataset(CocoDataset):
    """mmdet's ``CocoDataset`` with a ``score`` in each of the ``instances``.

    An annotation without a score, for example of a true instance, gets the score 1. If
    ``data_prefix['seg']`` is set, the semantic map of an image is ``<name>.png`` in this folder.

    With ``poly2mask=False`` in the pipeline (RTMDet-Ins, CondInst), mmdet silently ignores every
    instance whose mask is not a polygon. For such pipelines, this dataset converts the masks to
    polygons and fills their holes. The arguments are those of mmdet's ``CocoDataset``.
    """

    def prepare_data(self, idx: int) -> dict | None:
        """Convert the masks to the form that the pipeline reads, and run the pipeline.

        Raises:
            ValueError: the pipeline reads masks, and an annotation has none.
        """
        # convert here and not in get_data_info, which batch samplers call for every image
        entry = self.get_data_info(idx)
        lacks_masks = not all('mask' in instance for instance in entry['instances'])
        if lacks_masks and any(_reads_masks(step) for step in self.pipeline.transforms):
            raise ValueError(
                f'{self.ann_file}: image {entry["img_id"]} ({entry["img_path"]}): expected a mask '
                'in each annotation, got one without'
            )
        if any(_reads_polygons_alone(step) for step in self.pipeline.transforms):
            for instance in entry['instances']:
                if isinstance(instance.get('mask'), dict):
                    rle = segmentation_to_rle(instance['mask'], entry['height'], entry['width'])
                    instance['mask'] = mask_to_polygons(decode_rle(rle))
        return self.pipeline(entry)

    def parse_data_info(self, raw_data_info: dict) -> dict:
        """Return mmdet's entry of an image, with scores.

        Raises:
            ValueError: a score is negative or not finite, or a mask cannot be decoded; the message
                names file and annotation.
        """
        annotations = raw_data_info['raw_ann_info']
        check_segmentations(self.ann_file, [raw_data_info['raw_img_info']], annotations)
        # mmdet does not report which annotations it skips: parse one at a time
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
    return _reads_masks(step) and not step.poly2mask


def _reads_masks(step: object) -> bool:
    return isinstance(step, LoadAnnotations) and step.with_mask
