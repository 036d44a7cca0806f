import json

import pytest

from mmp2seg.converters.point_formats import label_studio
from mmp2seg.converters.point_json import SourceImage, SourcePoint, assemble_point_json


def result(x, y, kind='keypointlabels', label='cat', size=(60, 40), **value):
    return dict(
        type=kind,
        original_width=size[0],
        original_height=size[1],
        image_rotation=0,
        value={'x': x, 'y': y, 'width': 0.5, kind: [label], **value},
    )


@pytest.fixture
def read(tmp_path):
    """Reads an export of one task with the given annotations, lists of results."""

    def run(*annotations, image='/data/upload/1/ab12cd34-a.jpg', minimal=False, **options):
        if minimal:
            rows = [
                dict(
                    id=4,
                    image=image,
                    kp=[
                        {k: v for k, v in r.items() if k[:8] == 'original'} | r['value'] for r in a
                    ],
                )
                for a in annotations
            ]
        else:
            rows = [dict(data=dict(image=image), annotations=[dict(result=a) for a in annotations])]
        path = tmp_path / 'export.json'
        path.write_text(json.dumps(rows))
        (image,) = label_studio.read(path, **options)
        return image

    return run


def places(image):
    return [(p.x, p.y, p.label) for p in image.points]


def test_round_trip(tmp_path, images, image_dir):
    path = tmp_path / 'tasks.json'
    label_studio.write(images, path, image_prefix='/data/local-files/?d=x/')
    again = label_studio.read(path, image_dir=image_dir)
    for image, expected in zip(again, images, strict=True):
        assert (image.file_name, image.height) == (expected.file_name, expected.height)
        assert [p.label for p in image.points] == [p.label for p in expected.points]
        values = [v for p in image.points for v in (p.x, p.y)]
        wanted = [v for p in expected.points for v in (p.x, p.y)]
        assert values == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize('prefix', ['', 'https://host/x/', '/data/local-files/?d=x/'])
def test_names_survive_the_url(tmp_path, prefix):
    images = [SourceImage('50%25 #1?&d=é+.jpg', 40, 60, [SourcePoint(1, 2, 'cat', '')], '')]
    label_studio.write(images, tmp_path / 'tasks.json', image_prefix=prefix)
    (image,) = label_studio.read(tmp_path / 'tasks.json')
    assert image.file_name == images[0].file_name


@pytest.mark.parametrize('minimal', [False, True])
def test_per_cent(read, minimal):
    image = read([result(50, 25), result(0, 0, label='dog')], minimal=minimal)
    assert (image.file_name, image.height, image.width) == ('ab12cd34-a.jpg', 40, 60)
    assert places(image) == [(30, 10, 'cat'), (0, 0, 'dog')]


def test_prefix_of_uploads(read):
    assert read([result(1, 2)], strip_prefix=True).file_name == 'a.jpg'
    assert read([result(1, 2)], image='cafe1234a-b.jpg', strip_prefix=True).file_name[:4] == 'cafe'


@pytest.mark.parametrize('minimal', [False, True])
def test_several_annotations(read, minimal):
    annotations = [[result(0, 0)], [], [result(50, 50)]]
    assert places(read(*annotations, annotation='first', minimal=minimal)) == [(0, 0, 'cat')]
    assert places(read(*annotations, annotation='last', minimal=minimal)) == [(30, 20, 'cat')]
    with pytest.raises(ValueError, match=r'export.json: tasks\[0\]: expected one .* got 3'):
        read(*annotations, minimal=minimal)


def test_other_shapes(read):
    shapes = [
        result(10, 20, 'rectanglelabels', width=20, height=10),
        result(50, 50, 'ellipselabels', radiusX=5, radiusY=5, rotation=30),
        result(0, 0),
    ]
    image = read(shapes, other_shapes='center')
    assert places(image) == [(12, 10, 'cat'), (30, 20, 'cat'), (0, 0, 'cat')]
    image = read(shapes, other_shapes='skip')
    assert places(image) == [(0, 0, 'cat')]
    _, report = assemble_point_json([image])
    assert report.refused[0].endswith('tasks[0].annotations[0].result[0]: a rectanglelabels')
    with pytest.raises(ValueError, match=r'result\[0\]: expected a keypointlabels, got a rectangl'):
        read(shapes)
    shapes[0]['value']['rotation'] = 30
    with pytest.raises(ValueError, match=r'result\[0\]: .* got a rectanglelabels'):
        read(shapes, other_shapes='center')
    with pytest.raises(
        ValueError, match=r'result\[0\]: expected a keypointlabels, got a keypoint '
    ):
        read([result(1, 2, 'keypoint')])


def test_sizes(read, image_dir):
    options = dict(image='b 1.jpg', image_dir=image_dir)
    assert read([], **options).width == 60
    assert read([result(1, 2)], **options).width == 60
    imported = result(50, 50)
    del imported['original_width'], imported['original_height']
    assert places(read([imported], **options)) == [(30, 20, 'cat')]
    with pytest.raises(ValueError, match=r'tasks\[0\]: no size of ab12cd34-a.jpg in the file'):
        read([imported])
    with pytest.raises(ValueError, match=r'tasks\[0\]: expected 61 x 40 .* 60 x 40 in .*b 1.jpg'):
        read([result(1, 2, size=(61, 40))], **options)
    with pytest.raises(ValueError, match=r'result\[1\]: expected the size of .* got 61 x 40'):
        read([result(1, 2), result(1, 2, size=(61, 40))])


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (result('x', 2), r'annotations\[0\].result\[1\]: expected two numbers x, y'),
        (result(None, 2), r'annotations\[0\].result\[1\]: expected two numbers'),
        (result(1, 2, keypointlabels=[]), r'result\[1\]: expected keypointlabels to be a list of'),
        (result(1, 2, keypointlabels=['a', 'b']), r'result\[1\]: expected keypointlabels'),
        (result(1, 2, size=('60', 40)), r"result\[1\]: expected a size in pixels, got '60'"),
        (
            result(1, 2) | dict(image_rotation=90),
            r'result\[1\]: expected an image that is not turn',
        ),
    ],
)
def test_malformed(read, entry, message):
    with pytest.raises(ValueError, match=message):
        read([result(1, 2), entry])


def test_wrong_options(read):
    with pytest.raises(ValueError, match='expected annotation to be one of'):
        read([], annotation='best')
    with pytest.raises(ValueError, match='expected other_shapes to be one of'):
        read([], other_shapes='centre')
