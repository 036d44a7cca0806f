import zlib

import cv2
import mmcv
import numpy as np
import pytest
from mmcv.transforms import Compose
from mmcv.transforms import LoadImageFromFile as MmcvLoadImageFromFile
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mmp2seg.datasets.transforms import LoadImageFromFile

NOISE = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)


def bomb(side):
    """A PNG whose header says that it has ``side`` x ``side`` pixels."""
    parts = b'IHDR' + int(side).to_bytes(4) * 2 + bytes([1, 0, 0, 0, 0])
    header = (13).to_bytes(4) + parts + zlib.crc32(parts).to_bytes(4)
    return b'\x89PNG\r\n\x1a\n' + header + cv2.imencode('.png', NOISE)[1].tobytes()[33:]


BROKEN = {
    'empty.jpg': (b'', 'got an empty file'),
    'text.jpg': (b'no image', 'it is cut off, or in a format that cannot be read'),
    'cut.jpg': (cv2.imencode('.jpg', NOISE)[1].tobytes()[:300], 'it is cut off'),
    'end.jpg': (cv2.imencode('.jpg', NOISE)[1].tobytes()[:-1], 'it is cut off'),
    'cut.png': (cv2.imencode('.png', NOISE)[1].tobytes()[:-40], 'it is cut off'),
    'large.png': (bomb(13_400), 'got one of more than 178956970 pixels'),
    'bomb.png': (bomb(60_000), 'got one of more than 178956970 pixels'),
}


@pytest.mark.filterwarnings('ignore:Image size')
@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('name', BROKEN)
def test_what_is_no_image_is_named_in_one_line(tmp_path, name, backend):
    content, reason = BROKEN[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf'{name}: expected an image, .') as caught:
        LoadImageFromFile(imdecode_backend=backend)(dict(img_path=str(path)))
    assert '\n' not in str(caught.value)
    if backend == 'cv2' or 'got' in reason:
        assert f'{path}: expected an image, {reason}' in str(caught.value)
    assert LoadImageFromFile(ignore_empty=True)(dict(img_path=str(path))) is None


def test_folders_and_missing_files_are_named(tmp_path):
    (tmp_path / 'a.jpg').mkdir()
    with pytest.raises(ValueError, match=r'a\.jpg: expected an image, Is a directory'):
        LoadImageFromFile()(dict(img_path=str(tmp_path / 'a.jpg')))
    with pytest.raises(FileNotFoundError, match=r'gone\.jpg: no such file'):
        LoadImageFromFile()(dict(img_path=str(tmp_path / 'gone.jpg')))
    assert LoadImageFromFile(ignore_empty=True)(dict(img_path=str(tmp_path / 'gone.jpg'))) is None


@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', 'P', '1', 'I;16'])
@pytest.mark.parametrize('options', [{}, dict(to_float32=True), dict(color_type='grayscale')])
def test_sound_images_are_those_of_mmcv(tmp_path, mode, options):
    path = str(tmp_path / 'a.png')
    image = Image.fromarray(NOISE)
    if mode == 'I;16':
        image = Image.fromarray(NOISE[..., 0].astype(np.uint16) * 200)
    else:
        image = image.convert(mode)
    image.save(path)
    found = LoadImageFromFile(**options)(dict(img_path=path))
    expected = MmcvLoadImageFromFile(**options)(dict(img_path=path))
    assert found.keys() == expected.keys()
    assert np.array_equal(found.pop('img'), expected['img'])
    assert found['img_shape'] == found['ori_shape'] == expected['img_shape'] == (20, 30)


def test_a_file_client_of_older_configs(tmp_path):
    path = str(tmp_path / 'a.png')
    mmcv.imwrite(NOISE, path)
    with pytest.warns(DeprecationWarning):
        step = LoadImageFromFile(file_client_args=dict(backend='disk'))
    assert np.array_equal(step(dict(img_path=path))['img'], NOISE)


class _OneImage(Dataset):
    def __init__(self, path):
        self.path = path
        self.pipeline = Compose([dict(type='mmp2seg.LoadImageFromFile')])

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.pipeline(dict(img_path=self.path))


def test_the_line_is_the_last_one_of_the_error_of_a_data_worker(tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'')
    with pytest.raises(ValueError) as caught:
        list(DataLoader(_OneImage(str(tmp_path / 'a.jpg')), num_workers=1))
    last = str(caught.value).strip().splitlines()[-1]
    assert last == f'ValueError: {tmp_path}/a.jpg: expected an image, got an empty file'
