"""Load images with errors that name the file."""

from collections.abc import Iterator
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile as MmcvLoadImageFromFile
from mmengine import fileio

from mmp2seg.files.image_reading import bad_image, require_image
from mmp2seg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImageFromFile(MmcvLoadImageFromFile):
    """mmcv's LoadImageFromFile, whose errors name the file and the reason in one line.

    mmcv's own error for an empty file or a folder does not name it. The pixels are the same. The
    arguments are those of mmcv's ``LoadImageFromFile``.
    """

    def transform(self, results: dict) -> dict | None:
        """Add ``img``, ``img_shape`` and ``ori_shape``; with ``ignore_empty``, None for a bad file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no image that can be read, or one of too many pixels.
        """
        path = results['img_path']
        try:
            image = self._load(path)
        except FileNotFoundError as error:
            if self.ignore_empty:
                return None
            raise FileNotFoundError(f'{path}: no such file') from error
        except Exception as error:  # decoders raise anything for broken data
            if self.ignore_empty:
                return None
            raise ValueError(bad_image(path, error)) from error
        if self.to_float32:
            image = image.astype(np.float32)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _load(self, path: str) -> np.ndarray:
        if self.file_client_args is not None:
            data = fileio.FileClient.infer_client(self.file_client_args, path).get(path)
        else:
            data = fileio.get(path, backend_args=self.backend_args)
        require_image(data)
        image = mmcv.imfrombytes(data, flag=self.color_type, backend=self.imdecode_backend)
        if image is None:
            raise ValueError('it is cut off, or in a format that cannot be read')
        return image


def load_images_by_name(settings: Any) -> None:
    """Replace mmcv's ``LoadImageFromFile`` by ours in the pipelines of a config, in place.

    Args:
        settings: a config or any part of it. The steps of a pipeline are changed wherever they are,
            such as in a step that chooses other steps.
    """
    for step in _dicts(settings):
        if step.get('type') in _NAMES:
            step['type'] = 'mmp2seg.LoadImageFromFile'


# the names that mmcv's transform has in the scopes of mmdet, mmseg and mmcv
_NAMES = (
    'LoadImageFromFile',
    'mmcv.LoadImageFromFile',
    'mmdet.LoadImageFromFile',
    'mmseg.LoadImageFromFile',
    MmcvLoadImageFromFile,
)


def _dicts(settings: Any) -> Iterator[dict]:
    if isinstance(settings, dict):
        yield settings
        settings = list(settings.values())
    if isinstance(settings, list | tuple):
        for part in settings:
            yield from _dicts(part)
