"""The pictures that the page shows: the pixels as the package reads them."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mmp2seg.files.image_reading import read_rgb

_KEPT = 4  # the newest pictures; the page asks for size and pixels, and for the next image
_PNG_PIXELS = 1 << 20  # a larger image is sent as JPEG
_LONG_SIDE = 4096  # a larger image is sent smaller
_JPEG_QUALITY = 92


@dataclass(frozen=True)
class Picture:
    """An image for a browser.

    Attributes:
        size: ``(H, W)`` of the image itself; ``data`` can have fewer pixels.
        data: a PNG or JPEG without orientation.
        mime: its type.
        version: changes with the file.
    """

    size: tuple[int, int]
    data: bytes = field(repr=False)
    mime: str
    version: str


class Pictures:
    """Encode the images of a folder, and keep the newest.

    A browser would rotate, scale and decode some files in another way than the package does, and
    cannot show TIFF or 16 bits. So it gets pixels of :func:`mmp2seg.files.image_reading.read_rgb`,
    and its points are in the frame of the masks.

    Args:
        folder: folder of the images.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._kept: OrderedDict[str, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: str) -> Picture:
        """Return the picture of an image.

        Args:
            name: path relative to the folder.

        Raises:
            FileNotFoundError: the file is gone.
            ValueError: the file is not an image; the message names it.
        """
        path = self.folder / name
        with self._lock:
            version = _version(path)
            picture = self._kept.pop(name, None)
            if picture is None or picture.version != version:
                picture = _encode(read_rgb(path), version)
            self._kept[name] = picture
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return picture


def _version(path: Path) -> str:
    try:
        stat = path.stat()
    except FileNotFoundError as error:
        raise FileNotFoundError(f'{path}: no such file') from error
    return f'{stat.st_mtime_ns:x}-{stat.st_size:x}'


def _encode(image_rgb: npt.NDArray[np.uint8], version: str) -> Picture:
    height, width = image_rgb.shape[:2]
    scale = _LONG_SIDE / max(height, width)
    if scale < 1:
        shown = (max(1, round(width * scale)), max(1, round(height * scale)))
        image_rgb = cv2.resize(image_rgb, shown, interpolation=cv2.INTER_AREA)
    bgr = np.ascontiguousarray(image_rgb[..., ::-1])
    if height * width <= _PNG_PIXELS:
        _, data = cv2.imencode('.png', bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        return Picture((height, width), data.tobytes(), 'image/png', version)
    _, data = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return Picture((height, width), data.tobytes(), 'image/jpeg', version)
