"""Base class of the point datasets."""

import os.path as osp
from collections.abc import Mapping, Sequence

from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmp2seg.datasets.class_list import class_names
from mmp2seg.files.text_reading import read_text


class PointDataset(BaseDataset):
    """Images with points and weak semantic maps; subclasses implement ``load_data_list``.

    Subclasses read an instance mask only if its annotation has the flag that says so. Images
    without points are kept, because they train the background.

    Args:
        *args: forwarded to :class:`mmengine.dataset.BaseDataset`.
        seg_map_suffix: suffix of the weak map files, which have the same stems as the images.
        backend_args: arguments of :mod:`mmengine.fileio`, for reading annotation files.
        **kwargs: forwarded to :class:`mmengine.dataset.BaseDataset`. ``data_prefix['seg_map']`` is
            the folder of the weak maps; it can be missing if no maps are needed.
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
        """Return all entries.

        Raises:
            ValueError: there are none; the message names the annotation file.
        """
        data_list = super().filter_data()
        if not data_list:
            raise ValueError(f'{self.ann_file}: expected at least one image, got none')
        return data_list

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping | Config | None = None) -> dict:
        """Load meta information as mmengine does, except the classes.

        Raises:
            ValueError: the classes are a str that is no file, or a name is there twice; or their
                file is not UTF-8.
        """
        if isinstance(metainfo, Mapping | Config) and metainfo.get('classes') is not None:
            classes = metainfo['classes']
            if isinstance(classes, str) and osp.isfile(classes):
                classes = read_text(classes).splitlines()
            metainfo = {**metainfo, 'classes': tuple(class_names(classes))}
        return super()._load_metainfo(metainfo)

    @property
    def num_classes(self) -> int:
        """Number of object classes, without background."""
        return len(self._metainfo['classes'])

    def image_entry(
        self,
        *,
        img_id: int,
        file_name: str,
        instances: list[dict],
        points_path: str,
        background_points: Sequence[Sequence[float]] = (),
        size: tuple[int, int] | None = None,
        complete: bool = False,
    ) -> dict:
        """Return the data-list entry of an image.

        Args:
            img_id: id of the image in pseudo-label files.
            file_name: path of the image, relative to ``data_prefix['img']``.
            instances: dicts with ``point`` (x, y), ``bbox_label`` and ``point_id``; for a true mask
                or box also ``supervision`` and ``mask``, see
                :func:`mmp2seg.datasets.point_supervision.read_given_mask`.
            points_path: the file that the points were read from, for error messages.
            background_points: background clicks (x, y) in the frame of the file. No transform reads
                or moves them.
            size: (H, W) of the image that the file states, which loading checks. None: it states
                none.
            complete: all objects of the image have true masks.
        """
        seg_folder = self.data_prefix.get('seg_map')
        seg_map = osp.splitext(file_name)[0] + self.seg_map_suffix
        stated = {} if size is None else dict(height=size[0], width=size[1])
        return dict(
            **stated,
            img_id=img_id,
            img_path=osp.join(self.data_prefix.get('img', ''), file_name),
            file_name=file_name,
            seg_map_path=None if not seg_folder else osp.join(seg_folder, seg_map),
            points_path=points_path,
            num_classes=self.num_classes,
            instances=instances,
            background_points=[list(point) for point in background_points],
            complete=complete,
        )
