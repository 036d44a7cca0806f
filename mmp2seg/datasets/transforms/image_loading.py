"""Load images with errors that name the file."""

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
