"""Convert a point json to every format and back."""

import json

import pytest
from PIL import Image

from mmp2seg.converters.point_formats import FORMATS
from mmp2seg.converters.point_json import SourceImage, SourcePoint, assemble_point_json

from ..tool_runs import run_tool


@pytest.fixture
def point_json(tmp_path):
    labels = ['dog', 'cat', 'dog']
    points = [SourcePoint(i + 0.25, 2.0 * i, label, '') for i, label in enumerate(labels)]
    images = [
        SourceImage('a.jpg', 40, 60, points, ''),
        SourceImage('b.jpg', 40, 60, points[1:], ''),
    ]
    content, _ = assemble_point_json(images, classes=['dog', 'cow', 'cat'])
    path = tmp_path / 'points.json'
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize('name', [name for name in FORMATS if name != 'csv'])
def test_to_and_back(tmp_path, point_json, name, capsys):
    run_tool('coco_to_points', '--format', name, point_json, tmp_path / 'there')
    assert capsys.readouterr().out == '2 images, 5 points\nclasses: dog cow cat\n'
    back = tmp_path / 'back.json'
    classes = ['--classes', 'dog', 'cow', 'cat']
    run_tool('points_to_coco', '--format', name, tmp_path / 'there', back, *classes)
    content, wanted = (json.loads(path.read_text()) for path in (back, point_json))
    places = [a.pop('point') for a in content['annotations']]
    assert [v for place in places for v in place] == pytest.approx(
        [v for a in wanted['annotations'] for v in a.pop('point')], abs=1e-9
    )
    assert {**content, 'info': None} == {**wanted, 'info': None}


def test_options(tmp_path, point_json):
    run_tool('coco_to_points', '--format', 'csv', point_json, tmp_path / 'p.csv', '--pixel-indices')
    assert (tmp_path / 'p.csv').read_text().splitlines()[1] == 'a.jpg,-0.25,-0.5,dog'
    folder = tmp_path / 'labels'
    options = ['--image-dir', tmp_path / 'images']
    run_tool('coco_to_points', '--format', 'labelme', point_json, folder, *options)
    assert json.loads((folder / 'a.json').read_text())['imagePath'] == '../images/a.jpg'
    out = tmp_path / 'ls.json'
    options = ['--image-prefix', '/data/local-files/?d=x/', '--from-name', 'kp']
    run_tool('coco_to_points', '--format', 'label-studio', point_json, out, *options)
    task = json.loads(out.read_text())[1]
    assert task['data'] == {'image': '/data/local-files/?d=x/b.jpg'}
    assert task['annotations'][0]['result'][0]['from_name'] == 'kp'


def test_the_source_is_not_replaced(tmp_path, point_json):
    old = point_json.read_bytes()
    link = tmp_path / 'link.json'
    link.symlink_to(point_json)
    for arguments in (
        ['csv', point_json, point_json],
        ['csv', link, point_json],
        ['csv', point_json, link],
        ['labelme', point_json, tmp_path, '--overwrite'],
    ):
        with pytest.raises(SystemExit, match='error: .*: expected a path that does not hold'):
            run_tool('coco_to_points', '--format', *arguments)
    assert point_json.read_bytes() == old


def test_mistakes(tmp_path, point_json):
    out = tmp_path / 'out'
    with pytest.raises(SystemExit, match='--overwrite: not an option of --format csv'):
        run_tool('coco_to_points', '--format', 'csv', point_json, out, '--overwrite')
    with pytest.raises(SystemExit, match='error: .*none.json: there is no such file'):
        run_tool('coco_to_points', '--format', 'csv', tmp_path / 'none.json', out)
    point_json.write_text(point_json.read_text()[:-3])
    with pytest.raises(SystemExit, match='error: .*points.json: invalid json, line 1'):
        run_tool('coco_to_points', '--format', 'csv', point_json, out)
    assert not out.exists()


@pytest.mark.parametrize('name', FORMATS)
@pytest.mark.parametrize('classes', [(), ('--classes', 'dog', 'cow', 'cat')])
def test_background_clicks_to_and_back(tmp_path, point_json, name, classes, capsys):
    content = json.loads(point_json.read_text())
    clicks = [[7.5, 8.25], [0.5, 30.0]], [[59.5, 39.5]]
    for image, of_image in zip(content['images'], clicks, strict=True):
        image['background_points'] = of_image
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] == 1]
    point_json.write_text(json.dumps(content))
    run_tool('coco_to_points', '--format', name, point_json, tmp_path / 'there')
    out = '2 images, 3 points, 3 background clicks\nclasses: dog cow cat\n'
    assert capsys.readouterr().out == out
    images = tmp_path / 'images'
    images.mkdir()
    for image in content['images']:
        Image.new('L', (60, 40)).save(images / image['file_name'])
    source, back = tmp_path / 'there', tmp_path / 'back.json'
    run_tool('points_to_coco', '--format', name, source, back, '--image-dir', images, *classes)
    assert '3 background clicks' in capsys.readouterr().out.splitlines()
    again = json.loads(back.read_text())
    wanted = ['dog', 'cow', 'cat'] if classes else ['cat', 'dog']
    assert [category['name'] for category in again['categories']] == wanted
    assert len(again['annotations']) == 3
    for image, of_image in zip(again['images'], clicks, strict=True):
        assert [v for place in image['background_points'] for v in place] == pytest.approx(
            [v for place in of_image for v in place], abs=1e-9
        )
