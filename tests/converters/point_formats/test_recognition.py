import json

import pytest

from mmp2seg.converters.point_formats import FORMATS
from mmp2seg.converters.point_formats.recognition import POINT_JSON, recognize_format
from mmp2seg.converters.point_json import assemble_point_json

IMAGES = [dict(id=1, file_name='a.jpg', height=4, width=6)]
CATEGORIES = [dict(id=1, name='cat')]
ANNOTATION = dict(id=1, image_id=1, category_id=1)
KEYPOINTS = dict(ANNOTATION, keypoints=[1, 2, 2])
RESULT = dict(type='keypointlabels', value=dict(x=1, y=2, keypointlabels=['cat']))


def coco(*annotations, **more):
    return dict(images=IMAGES, categories=CATEGORIES, annotations=list(annotations), **more)


@pytest.fixture
def recognize(tmp_path):
    """Recognizes a file of the given text, or json, and with a name that says nothing."""

    def run(content, **options):
        path = tmp_path / 'points.jpg'
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return recognize_format(path, **options)

    return run


@pytest.mark.parametrize('name', FORMATS)
def test_what_the_writers_write(tmp_path, images, clicked, name):
    for index, source in enumerate((images, clicked, images[2:])):
        FORMATS[name].write(source, tmp_path / str(index))
        known = recognize_format(tmp_path / str(index))
        # a COCO json without annotations and categories is a point json
        assert known == (POINT_JSON if (name, index) == ('coco-keypoints', 2) else name)


def test_categories_with_keypoints_and_no_annotations(recognize):
    assert recognize(coco() | dict(categories=[dict(id=1, name='cat', keypoints=[])])) == (
        'coco-keypoints'
    )


def test_what_we_write(recognize, images, clicked):
    for source in (images, clicked, images[2:]):
        assert recognize(assemble_point_json(source, allow_empty=True)[0]) == POINT_JSON


@pytest.mark.parametrize(
    ('content', 'name'),
    [
        (coco(dict(ANNOTATION, point=[1, 2])), POINT_JSON),
        (coco(dict(KEYPOINTS, point=[1, 2])), POINT_JSON),
        (coco(dict(ANNOTATION, point=[1, 2]), KEYPOINTS), POINT_JSON),
        (coco(dict(ANNOTATION, point=[1, 2]), 'text'), POINT_JSON),
        (coco(), POINT_JSON),
        (coco(dict(KEYPOINTS, iscrowd=1)), POINT_JSON),
        (coco(KEYPOINTS, ANNOTATION), 'coco-keypoints'),
        (coco(KEYPOINTS, dict(ANNOTATION, point=[1, 2], iscrowd=1)), 'coco-keypoints'),
        ([dict(data=dict(image='a.jpg'), annotations=[])], 'label-studio'),
        (dict(data=dict(photo='a.jpg'), annotations=[dict(result=[RESULT])]), 'label-studio'),
        ([dict(id=1, image='a.jpg', annotator=1, annotation_id=3)], 'label-studio'),
        ([dict(id=1, img='a.jpg', kp=[RESULT['value']])], 'label-studio'),
        ([dict(id=1, image='a.jpg'), dict(id=2, image='b.jpg', lead_time=3)], 'label-studio'),
    ],
)
def test_jsons(recognize, content, name):
    assert recognize(content) == name
    assert recognize('\ufeff \n' + json.dumps(content)) == name


def test_image_key_of_label_studio(recognize):
    row = [dict(id=1, photo='a.jpg', kp=[RESULT['value']])]
    assert recognize(row, image_key='photo') == 'label-studio'
    with pytest.raises(ValueError, match='got a json list of objects with the keys .*"photo"'):
        recognize(row)


@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_tables(recognize, delimiter, end):
    lines = ['Class,X,note,Y,FILE', 'cat,1,"n",2,a.jpg']
    text = end.join(lines).replace(',', delimiter)
    assert recognize(text) == recognize('\ufeff' + text) == 'csv'
    assert recognize(lines[0].replace(',', delimiter)) == 'csv'


def test_xml(recognize):
    assert recognize('<?xml version="1.0"?>\n<annotations><version>1.1') == 'cvat'
    assert recognize('\ufeff\n<annotations/>') == 'cvat'
    with pytest.raises(ValueError, match='got an XML of <annotation>$'):
        recognize('<annotation><object/></annotation>')
    with pytest.raises(ValueError, match='points.jpg: invalid xml, .*line 1'):
        recognize('<annotations')


@pytest.mark.parametrize(
    ('content', 'found'),
    [
        ('', 'no text'),
        (' \r\n', 'no text'),
        (b'\x89PNG\r\n\x1a\n', 'no text in UTF-8: the byte 0x89 in line 1'),
        ('file,x,class\na.jpg,1,c', "the first line 'file,x,class'"),
        ('a.jpg,1,2,cat', "the first line 'a.jpg,1,2,cat'"),
        ('file x y class', "the first line 'file x y class'"),
        ('x' * 200_000, r'the first line .x{59}'),
        ('[]', r'the json \[\]'),
        ('{}', r'a json object with the keys \[\]'),
        ([1, 2], r'the json \[1, 2\]'),
        (dict(images=[], annotations=[]), r'a json object with the keys \["images", "annotat'),
        ([KEYPOINTS], r'a json list of objects with the keys \["id", "image_id", "cat'),
        (
            [dict(image='a.jpg', x=1, y=2, label='cat')],
            r'a json list of objects with the keys \["i',
        ),
        ([dict(image=3, annotation_id=4)], r'a json list of objects with the keys'),
        (dict(shapes=[], imagePath='a.jpg'), 'one json of LabelMe: give its folder'),
        (coco(ANNOTATION), r'a COCO json whose annotations have neither point nor keypoints \(too'),
        (
            coco(dict(ANNOTATION, point=[1, 2]), dropped_points=[]),
            'a pseudo label json: give the',
        ),
    ],
)
def test_anything_else_is_an_error(recognize, content, found):
    expected = (
        r'points.jpg: expected a point json \(.*\), a table with the header file,x,y,class \(.*\), '
        'a table of QuPath, ImageJ, makesense.ai, VIA or DeepForest, '
        "an XML of 'CVAT for images 1.1', a folder of LabelMe jsons, a JSON or JSON-MIN export of "
        'Label Studio or a COCO json with keypoints, got '
    )
    with pytest.raises(ValueError, match=expected + found) as error:
        recognize(content)
    assert '\n' not in str(error.value)


def test_broken_json(recognize):
    with pytest.raises(ValueError, match='points.jpg: invalid json, line 2 column 1'):
        recognize('{"images":\n')


def test_folders(tmp_path):
    folder = tmp_path / 'labels'
    folder.mkdir()
    (folder / 'a.jpg').touch()
    (folder / '.a.json').write_text('{"shapes": []}')
    with pytest.raises(ValueError, match='labels: expected .*, got a folder without a json$'):
        recognize_format(folder)
    (folder / 'sub').mkdir()
    (folder / 'sub/b.json').write_text('{"shapes": []}')
    assert recognize_format(folder) == 'labelme'
    (folder / 'a.json').write_text('{"images": []}')
    with pytest.raises(ValueError, match=r'got a folder with a.json, a json object with the keys'):
        recognize_format(folder)
    (folder / 'a.json').write_text('{')
    with pytest.raises(ValueError, match=r'labels/a.json: invalid json, line 1'):
        recognize_format(folder)
    with pytest.raises(FileNotFoundError, match='gone: there is no such file or folder'):
        recognize_format(tmp_path / 'gone')
