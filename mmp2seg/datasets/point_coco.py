"""Point dataset that reads a COCO json."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from mmengine.fileio import get
from mmengine.logging import print_log

from mmp2seg.datasets.coco_content import (
    annotation_place,
    category_labels,
    check_coco_content,
    check_image_sizes,
    ordered_class_names,
    split_categories,
)
from mmp2seg.datasets.point_dataset import PointDataset
from mmp2seg.datasets.point_reading import (
    check_point_source,
    keypoint_shift,
    read_annotation_point,
    read_background_points,
)
from mmp2seg.datasets.point_supervision import all_objects_have_masks, read_given_mask
from mmp2seg.files.json_stream import stream_json_object
from mmp2seg.registry import DATASETS


@DATASETS.register_module()
class PointCocoDataset(PointDataset):
    """COCO images with a point per annotation.

    Masks and boxes in the file are ignored, but for annotations whose ``supervision`` says that
    they are true ones to train on (:mod:`mmp2seg.datasets.point_supervision`).

    Without ``metainfo['classes']``, the classes are the file's categories, in the order of their
    ids, without the empty parents of :func:`~mmp2seg.datasets.coco_content.split_categories`.
    With it, annotations of other categories are skipped, as in mmdet's CocoDataset. Crowd
    annotations are always skipped. The id of a point is the id of its annotation. The background
    clicks of an image are in the field ``background_points`` of its entry.

    Args:
        *args: forwarded to :class:`PointDataset`.
        point_source: which key of an annotation gives the point: ``'point'``, ``'bbox'`` or
            ``'keypoints'``; see :func:`~mmp2seg.datasets.point_reading.read_annotation_point`.
        **kwargs: forwarded to :class:`PointDataset`; ``data_prefix`` has the keys ``img`` and
            ``seg_map``.
    """

    METAINFO = dict()

    def __init__(self, *args, point_source: str = 'point', **kwargs) -> None:
        check_point_source(point_source)
        self.point_source = point_source
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Return the entries of all images of the file, with and without annotations.

        Raises:
            ValueError: the file is not a COCO json, lacks a class or repeats an id or a name; or an
                annotation has no point, an unknown image or category, or not what its
                ``supervision`` says.
        """
        content = self._read_json()
        if 'classes' not in self._metainfo:
            categories, lines = split_categories(content)
            content = {**content, 'categories': categories}
            for line in lines:
                print_log(f'{self.ann_file}: {line}', logger='current')
        classes = self._metainfo.setdefault(
            'classes', tuple(ordered_class_names(content['categories']))
        )
        labels = category_labels(self.ann_file, content['categories'], classes=classes)
        images = {image['id']: image for image in content['images']}
        shift = keypoint_shift(content) if self.point_source == 'keypoints' else 0.0
        instances = defaultdict(list)
        for index, annotation in enumerate(content['annotations']):
            label = labels.get(annotation['category_id'])
            if label is None or annotation.get('iscrowd', 0):
                continue
            where = annotation_place(self.ann_file, index, annotation)
            point = read_annotation_point(
                annotation, point_source=self.point_source, shift=shift, where=where
            )
            kind, mask = read_given_mask(
                {**annotation, 'point': point}, image=images[annotation['image_id']], where=where
            )
            instance = dict(point=point, bbox_label=label, point_id=annotation['id'])
            if kind != 'point':
                instance.update(supervision=kind, mask=mask)
            instances[annotation['image_id']].append(instance)
        return [
            self.image_entry(
                img_id=image_id,
                file_name=image['file_name'],
                instances=instances[image_id],
                points_path=self.ann_file,
                background_points=read_background_points(
                    image, where=f'{self.ann_file}: image {image_id}'
                ),
                size=_stated_size(image),
                complete=all_objects_have_masks(
                    image,
                    (one.get('supervision', 'point') for one in instances[image_id]),
                    where=f'{self.ann_file}: image {image_id}',
                ),
            )
            for image_id, image in images.items()
        ]

    def _read_json(self) -> dict:
        """Read the file without the keys that are not needed, to save memory.

        Only annotations that say so keep their masks and boxes.
        """
        needed = {
            'images': ('id', 'file_name', 'height', 'width', 'background_points', 'supervision'),
            'annotations': ('id', 'image_id', 'category_id', 'iscrowd', self.point_source),
            'categories': ('id', 'name', 'supercategory'),
        }
        content: dict[str, Any] = {part: [] for part in needed}
        data = get(self.ann_file, self.backend_args)
        for part, index, entry in stream_json_object(self.ann_file, lists=tuple(needed), data=data):
            if index is None:
                content.setdefault(part, entry)
                continue
            if isinstance(entry, dict) and not (part == 'annotations' and 'supervision' in entry):
                entry = {key: entry[key] for key in needed[part] if key in entry}
            content[part].append(entry)
        check_coco_content(self.ann_file, content, annotation_keys=('id',), integer_ids=True)
        check_image_sizes(
            self.ann_file, [image for image in content['images'] if _stated_size(image)]
        )
        return content


def _stated_size(image: Mapping) -> tuple[int, int] | None:
    size = image.get('height'), image.get('width')
    return None if None in size else size
