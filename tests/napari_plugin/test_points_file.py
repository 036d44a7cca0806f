import json

import cv2
import numpy as np
import pytest
from PIL import Image

from mmp2seg.converters.points_file import read_points
from mmp2seg.napari_plugin.points_file import save_points
from mmp2seg.napari_plugin.slices import SlicePoints

SIZE = (20, 30)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / 'photos' / 'a.png'
    path.parent.mkdir()
    cv2.imwrite(str(path), np.zeros(SIZE, np.uint8))
    return path


def of_image(*places):
    points_xy, classes = zip(*(((x, y), name) for x, y, name in places), strict=True)
    return SlicePoints((), np.arange(len(places)), np.array(points_xy, float), classes)


def test_the_commands_read_it(image, tmp_path):
    path = tmp_path / 'points.json'
    places = [(6.5, 5.5, 'dog'), (1, 2.25, 'background'), (30, 20, 'cat')]
    saved = save_points(path, image, of_image(*places), size=SIZE)
    assert len(saved.points) == 3
    content = read_points(path, image.parent)
    assert [category['name'] for category in content['categories']] == ['cat', 'dog']
    first, second = content['annotations']
    assert first['point'] == [6.5, 5.5] and first['category_id'] == 2
    assert second['point'] == pytest.approx([30, 20], abs=1e-3)  # onto the last pixel
    assert content['images'][0]['background_points'] == [[1, 2.25]]


def test_other_images_and_ids_stay(image, tmp_path):
    path = tmp_path / 'points.json'
    other = image.with_name('b.png')
    other.write_bytes(image.read_bytes())
    save_points(path, other, of_image((1.5, 1.5, 'cat')), size=SIZE)
    save_points(path, image, of_image((2.5, 2.5, 'cat'), (6.5, 5.5, 'dog')), size=SIZE)
    content = json.loads(path.read_text())
    content['annotations'][2]['score'] = 0.5
    path.write_text(json.dumps(content))
    save_points(path, image, of_image((9.5, 9.5, 'bird'), (6.5, 5.5, 'dog')), size=SIZE)
    content = json.loads(path.read_text())
    assert [category['name'] for category in content['categories']] == ['cat', 'dog', 'bird']
    assert [entry['file_name'] for entry in content['images']] == ['b.png', 'a.png']
    by_place = {tuple(entry['point']): entry for entry in content['annotations']}
    assert by_place[6.5, 5.5] == dict(id=3, image_id=2, category_id=2, point=[6.5, 5.5], score=0.5)
    assert by_place[9.5, 9.5]['id'] == 4 and by_place[1.5, 1.5]['id'] == 1


def test_a_rotated_photograph_is_refused(tmp_path):
    path = tmp_path / 'a.jpg'
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.new('RGB', SIZE[::-1]).save(path, exif=exif)
    with pytest.raises(ValueError, match=r'a\.jpg: expected 30 x 20 .*, got 20 x 30: .*EXIF'):
        save_points(tmp_path / 'points.json', path, of_image((1, 1, 'cat')), size=SIZE)
    assert not (tmp_path / 'points.json').exists()


def test_a_broken_json_stays(image, tmp_path):
    (tmp_path / 'points.json').write_text('{"images": 3}')
    with pytest.raises(ValueError, match=r'points\.json'):
        save_points(tmp_path / 'points.json', image, of_image((1, 1, 'cat')), size=SIZE)
    assert (tmp_path / 'points.json').read_text() == '{"images": 3}'
