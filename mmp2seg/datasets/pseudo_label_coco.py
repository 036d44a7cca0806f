"""Dataset of pseudo labels in a COCO json, including scores, which mmdet's dataset drops."""

import os.path as osp
from collections.abc import Mapping

from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from mmengine.config import Config
from mmengine.fileio import get

from mmp2seg.datasets.class_list import class_names
from mmp2seg.datasets.coco_content import check_segmentations
from mmp2seg.datasets.label_classes import category_names, require_label_classes
from mmp2seg.datasets.point_supervision import supervision_kind
from mmp2seg.files.json_reading import is_finite_number
from mmp2seg.files.text_reading import decode_text
from mmp2seg.ops.polygons import mask_to_polygons
from mmp2seg.ops.rle import decode_rle, segmentation_to_rle
from mmp2seg.registry import DATASETS


@DATASETS.register_module()
class PseudoLabelCocoDataset(CocoDataset):
    """mmdet's ``CocoDataset`` with the ``score`` and ``supervision`` of each instance.

    An annotation without a score, for example of a true instance, gets the score 1. ``supervision``
    says whether the mask is a true one (:mod:`mmp2seg.pseudo_labels.coco_json`). If
    ``data_prefix['seg']`` is set, the semantic map of an image is ``<name>.png`` in this folder.

    With ``poly2mask=False`` in the pipeline (RTMDet-Ins, CondInst), mmdet silently ignores every
    instance whose mask is not a polygon. For such pipelines, this dataset converts the masks to
    polygons and fills their holes. The arguments are those of mmdet's ``CocoDataset``.
    """

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping | Config | None = None) -> dict:
        """Load meta information as mmengine does; refuse a str as classes that is no file."""
        classes = metainfo.get('classes') if isinstance(metainfo, Mapping | Config) else None
        if classes is not None and not (isinstance(classes, str) and osp.isfile(classes)):
            class_names(classes)
        return super()._load_metainfo(metainfo)

    def load_data_list(self) -> list[dict]:
        """Return mmdet's entries of all images.

        Raises:
            ValueError: the categories of the file are not the classes, in their order.
        """
        text = decode_text(get(self.ann_file, self.backend_args), where=self.ann_file)
        names = category_names(text)
        if names is not None:
            require_label_classes(self.ann_file, names, self.metainfo['classes'])
        return super().load_data_list()

    def filter_data(self) -> list[dict]:
        """Return the entries that mmdet keeps.

        Raises:
            ValueError: there are none; the message names the file.
        """
        data_list = super().filter_data()
        if not data_list:
            raise ValueError(
                f'{self.ann_file}: expected an image with an instance of one of the classes '
                f'{self.metainfo["classes"]}, got none'
            )
        return data_list

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
            ValueError: a score is negative or not finite, ``supervision`` is unknown, or a mask
                cannot be decoded; the message names file and annotation.
        """
        annotations = raw_data_info['raw_ann_info']
        check_segmentations(self.ann_file, [raw_data_info['raw_img_info']], annotations)
        # mmdet does not report which annotations it skips: parse one at a time
        entry = super().parse_data_info({**raw_data_info, 'raw_ann_info': []})
        for annotation in annotations:
            parsed = super().parse_data_info({**raw_data_info, 'raw_ann_info': [annotation]})
            for instance in parsed['instances']:
                instance['score'] = self._score_of(annotation)
                if 'supervision' in annotation:
                    where = f'{self.ann_file}: annotation {annotation["id"]}'
                    instance['supervision'] = supervision_kind(annotation, where=where)
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
