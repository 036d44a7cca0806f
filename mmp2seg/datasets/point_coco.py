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
from mmp2seg.files.json_stream import stream_json_object
from mmp2seg.registry import DATASETS


@DATASETS.register_module()
class PointCocoDataset(PointDataset):
    """COCO images with a point per annotation; masks in the file are ignored.

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
                annotation has no point or an unknown image or category.
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
            point = read_annotation_point(
                annotation,
                point_source=self.point_source,
                shift=shift,
                where=annotation_place(self.ann_file, index, annotation),
            )
            instances[annotation['image_id']].append(
                dict(point=point, bbox_label=label, point_id=annotation['id'])
            )
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
            )
            for image_id, image in images.items()
        ]

    def _read_json(self) -> dict:
        """Read the file without the keys that are not needed, such as masks, to save memory."""
        needed = {
            'images': ('id', 'file_name', 'height', 'width', 'background_points'),
            'annotations': ('id', 'image_id', 'category_id', 'iscrowd', self.point_source),
            'categories': ('id', 'name', 'supercategory'),
        }
        content: dict[str, Any] = {part: [] for part in needed}
        data = get(self.ann_file, self.backend_args)
        for part, index, entry in stream_json_object(self.ann_file, lists=tuple(needed), data=data):
            if index is None:
                content.setdefault(part, entry)
                continue
            if isinstance(entry, dict):
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
