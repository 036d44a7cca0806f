"""Points in a COCO-style json."""

from collections import defaultdict
from json import JSONDecodeError, loads

from mmengine.fileio import get_text

from mmp2seg.datasets.point_dataset import PointDataset, parse_point
from mmp2seg.registry import DATASETS


@DATASETS.register_module()
class PointCocoDataset(PointDataset):
    """COCO images with a point per annotation; masks in the file are never looked at.

    Without ``metainfo['classes']`` the classes are the file's categories, in the order of their
    ids. With it, annotations of other categories are left out, as in mmdet's CocoDataset. Crowd
    annotations are left out. The id of a point is its annotation's id.

    Args:
        point_source: where an annotation's point is: ``'point'`` (its ``[x, y]`` in continuous
            coordinates), ``'bbox'`` (the centre of its box) or ``'keypoints'`` (its first labelled
            keypoint, ``v > 0``).
        others: as of :class:`PointDataset`; ``data_prefix`` has ``img`` and ``seg_map``.
    """

    METAINFO = dict()

    def __init__(self, *args, point_source: str = 'point', **kwargs) -> None:
        if point_source not in _POINT_READERS:
            raise ValueError(
                f'expected point_source to be one of {tuple(_POINT_READERS)}, got {point_source!r}'
            )
        self.point_source = point_source
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Entries of all images of the file, also of those without annotations.

        Raises:
            ValueError: if the file is no COCO json, a class is not in it, or an annotation has no
                point or an unknown image or category.
        """
        content = self._read_json()
        label_of_category = self._match_categories(content['categories'])
        known_categories = {category['id'] for category in content['categories']}
        images = {image['id']: image for image in content['images']}
        instances = defaultdict(list)
        for annotation in content['annotations']:
            where = f'{self.ann_file}: annotation {annotation.get("id")}'
            for key, known in (('image_id', images), ('category_id', known_categories)):
                if annotation.get(key) not in known:
                    raise ValueError(f'{where}: unknown {key} {annotation.get(key)!r}')
            label = label_of_category.get(annotation['category_id'])
            if label is None or annotation.get('iscrowd', 0):
                continue
            point = parse_point(_POINT_READERS[self.point_source](annotation), where=where)
            instances[annotation['image_id']].append(
                dict(point=point, bbox_label=label, point_id=annotation['id'])
            )
        return [
            self.image_entry(
                img_id=image_id,
                file_name=image['file_name'],
                instances=instances[image_id],
                points_path=self.ann_file,
            )
            for image_id, image in images.items()
        ]

    def _read_json(self) -> dict:
        try:
            content = loads(get_text(self.ann_file, backend_args=self.backend_args))
        except JSONDecodeError as error:
            raise ValueError(f'{self.ann_file}: expected a json file, {error}') from error
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(content, dict) or not isinstance(content.get(key), list):
                raise ValueError(f'{self.ann_file}: expected a COCO json with a list {key!r}')
        return content

    def _match_categories(self, categories: list[dict]) -> dict[int, int]:
        """Category id -> label; takes over the file's classes when the config names none."""
        ordered = sorted(categories, key=lambda category: category['id'])
        id_of_name = {category['name']: category['id'] for category in ordered}
        classes = self._metainfo.setdefault('classes', tuple(id_of_name))
        missing = [name for name in classes if name not in id_of_name]
        if missing:
            raise ValueError(
                f'{self.ann_file}: expected a category named {missing[0]!r}, '
                f'got {sorted(id_of_name)}'
            )
        return {id_of_name[name]: label for label, name in enumerate(classes)}


def _center_of_bbox(annotation: dict):
    x, y, width, height = annotation.get('bbox') or (None,) * 4
    return None if x is None else (x + width / 2, y + height / 2)


def _first_keypoint(annotation: dict):
    keypoints = annotation.get('keypoints') or []
    for x, y, visibility in zip(keypoints[::3], keypoints[1::3], keypoints[2::3]):
        if visibility > 0:
            # COCO counts keypoints in pixel indices.
            return (x + 0.5, y + 0.5)
    return None


_POINT_READERS = {
    'point': lambda annotation: annotation.get('point'),
    'bbox': _center_of_bbox,
    'keypoints': _first_keypoint,
}
