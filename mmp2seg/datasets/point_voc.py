"""Point dataset in the VOC layout that BESTIE and P2Seg use."""

import os.path as osp

from mmdet.datasets import VOCDataset
from mmengine.fileio import exists, get

from mmp2seg.datasets.point_dataset import PointDataset
from mmp2seg.datasets.voc_layout import numeric_image_ids, parse_point_line, require_image_name
from mmp2seg.files.text_reading import decode_text
from mmp2seg.registry import DATASETS


@DATASETS.register_module()
class PointVOCDataset(PointDataset):
    """VOC images with ``Center_points/<id>.txt`` and a folder of weak semantic maps.

    ``ann_file`` is an image list, such as ``ImageSets/Segmentation/train_aug.txt``, or BESTIE's
    ``train_cls.txt``; the first word of each line is an image id. A point file has one line per
    point, ``x y class [confidence]``. ``x y`` are pixel indices; adding 0.5 gives the pixel's
    centre. The class is ``0..K-1``. An image without points has an empty file; a missing file is an
    error. The id of a point is its line number, counted from 0.

    Args:
        *args: forwarded to :class:`PointDataset`.
        img_suffix: suffix of the image files.
        **kwargs: forwarded to :class:`PointDataset`; ``data_prefix`` has the keys ``img``,
            ``points`` and ``seg_map``.
    """

    METAINFO = VOCDataset.METAINFO

    def __init__(self, *args, img_suffix: str = '.jpg', **kwargs) -> None:
        self.img_suffix = img_suffix
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Return the entries of all images that ``ann_file`` lists.

        Raises:
            ValueError: a line of a point file is malformed, a class is out of range, a name leads
                out of the image folder, or a file is not UTF-8.
            FileNotFoundError: the list or a point file does not exist.
        """
        names = [line.split()[0] for line in self._read_lines(self.ann_file) if line.strip()]
        img_ids = numeric_image_ids(names)
        entries = []
        for name, img_id in zip(names, img_ids):
            require_image_name(name, path=self.ann_file)
            points_path = osp.join(self.data_prefix.get('points', ''), f'{name}.txt')
            entries.append(
                self.image_entry(
                    img_id=img_id,
                    file_name=name + self.img_suffix,
                    instances=self._read_points(points_path),
                    points_path=points_path,
                )
            )
        return entries

    def _read_points(self, path: str) -> list[dict]:
        if not exists(path, backend_args=self.backend_args):
            raise FileNotFoundError(
                f'{path}: no such point file (an image without points needs an empty one)'
            )
        return [
            self._parse_line(line, point_id=index, where=f'{path}:{index + 1}')
            for index, line in enumerate(self._read_lines(path))
            if line.strip()
        ]

    def _read_lines(self, path: str) -> list[str]:
        return decode_text(get(path, self.backend_args), where=path).splitlines()

    def _parse_line(self, line: str, *, point_id: int, where: str) -> dict:
        x, y, label = parse_point_line(line, num_classes=self.num_classes, where=where)
        return dict(point=[x, y], bbox_label=label, point_id=point_id)
