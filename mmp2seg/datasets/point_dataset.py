"""What point datasets of any layout share."""

import math
import os.path as osp
from collections.abc import Mapping

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmp2seg.files.text_reading import read_text


class PointDataset(BaseDataset):
    """Images with points and weak semantic maps; a layout adds ``load_data_list``.

    A subclass never reads instance masks. Images without points stay in: they train background.

    Args:
        seg_map_suffix: of the weak maps' files, whose stem is the image's.
        backend_args: of :mod:`mmengine.fileio`, for annotation files.
        others: as of :class:`mmengine.dataset.BaseDataset`; ``data_prefix['seg_map']`` names the
            folder of the weak maps and may be missing where no map is needed.
    """

    def __init__(
        self,
        *args,
        seg_map_suffix: str = '.png',
        backend_args: dict | None = None,
        **kwargs,
    ) -> None:
        self.seg_map_suffix = seg_map_suffix
        self.backend_args = backend_args
        super().__init__(*args, **kwargs)

    def filter_data(self) -> list[dict]:
        """All entries; none at all is an error that names the annotation file."""
        data_list = super().filter_data()
        if not data_list:
            raise ValueError(f'{self.ann_file}: expected at least one image, got none')
        return data_list

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping | Config | None = None) -> dict:
        """mmengine's, with an error that names a file of class names that is not UTF-8."""
        if isinstance(metainfo, Mapping | Config):
            classes = metainfo.get('classes')
            if isinstance(classes, str) and osp.isfile(classes):
                metainfo = {**metainfo, 'classes': read_text(classes).splitlines()}
        return super()._load_metainfo(metainfo)

    @property
    def num_classes(self) -> int:
        """Number of object classes, background not counted."""
        return len(self._metainfo['classes'])

    def image_entry(
        self, *, img_id: int, file_name: str, instances: list[dict], points_path: str
    ) -> dict:
        """The data-list entry of one image.

        Args:
            img_id: the image's number in pseudo-label files.
            file_name: relative to ``data_prefix['img']``.
            instances: dicts with ``point`` (x, y), ``bbox_label`` and ``point_id``.
            points_path: the file the points came from, for error messages.
        """
        seg_folder = self.data_prefix.get('seg_map')
        seg_map = osp.splitext(file_name)[0] + self.seg_map_suffix
        return dict(
            img_id=img_id,
            img_path=osp.join(self.data_prefix.get('img', ''), file_name),
            file_name=file_name,
            seg_map_path=None if not seg_folder else osp.join(seg_folder, seg_map),
            points_path=points_path,
            num_classes=self.num_classes,
            instances=instances,
        )


def parse_point(values, *, where: str) -> list[float]:
    """``[x, y]`` as finite floats.

    Args:
        values: two numbers, or strings of numbers.
        where: file and place, for the error.

    Raises:
        ValueError: if they are not two finite numbers.
    """
    try:
        point = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        point = []
    if len(point) != 2 or not all(map(math.isfinite, point)):
        raise ValueError(f'{where}: expected a point of two finite numbers x y, got {values!r}')
    return point
