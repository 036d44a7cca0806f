import re

import pytest
from PIL import Image

from mmp2seg.converters.point_formats import cvat
from mmp2seg.converters.point_json import assemble_point_json

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
IMAGE = '  <image id="5" name="x\\a.jpg" width="60" height="40">\n'
POINTS = '<points label="cat" points="1.50,2.25" occluded="0"></points>'
BOX = '<box label="dog" xtl="10" ytl="20" xbr="20" ybr="40"></box>'


@pytest.fixture
def xml(tmp_path):
    """Writes an XML of one image with the given shapes; returns its path."""

    def make(*shapes, image=IMAGE, head=HEAD, tail='  </image>\n</annotations>\n'):
        path = tmp_path / 'annotations.xml'
        path.write_text(head + image + '\n'.join(shapes) + tail)
        return path

    return make


def test_round_trip(tmp_path, images, image_dir, plain):
    cvat.write(images, tmp_path / 'a.xml', classes=['dog'])
    assert plain(cvat.read(tmp_path / 'a.xml', image_dir=image_dir)) == plain(images)


def test_points(xml):
    several = '<points label="dog" points="3,4;5,6"><attribute name="n">v</attribute></points>'
    tag = '<tag label="good" source="manual"></tag>'
    (image,) = cvat.read(xml(tag, POINTS, several))
    assert (image.file_name, image.height, image.width) == ('x/a.jpg', 40, 60)
    assert [(p.x, p.y, p.label) for p in image.points] == [
        (1.5, 2.25, 'cat'),
        (3, 4, 'dog'),
        (5, 6, 'dog'),
    ]
    assert [p.where.split('annotations.xml: ')[1] for p in image.points] == [
        'image 5 (x\\a.jpg): points[0]',
        'image 5 (x\\a.jpg): points[1], place 0',
        'image 5 (x\\a.jpg): points[1], place 1',
    ]


def test_other_shapes(xml):
    ellipse = '<ellipse label="cat" cx="7" cy="8" rx="2" ry="1"></ellipse>'
    skeleton = f'<skeleton label="s">{POINTS}{POINTS}</skeleton>'
    (image,) = cvat.read(xml(BOX, POINTS, ellipse), other_shapes='center')
    assert [(p.x, p.y, p.label) for p in image.points] == [
        (15, 30, 'dog'),
        (1.5, 2.25, 'cat'),
        (7, 8, 'cat'),
    ]
    (image,) = cvat.read(xml(BOX, POINTS, skeleton), other_shapes='skip')
    assert len(image.points) == 1
    _, report = assemble_point_json([image])
    assert [line.split(': ', 2)[2] for line in report.refused] == [
        'box[0]: a box',
        'skeleton[0]: a skeleton',
    ]
    with pytest.raises(ValueError, match=r'annotations.xml: image 5 .*: box\[0\]: expected a poin'):
        cvat.read(xml(POINTS, BOX))
    with pytest.raises(ValueError, match=r'image 5 .*: skeleton\[0\]: .* got a skeleton'):
        cvat.read(xml(POINTS, skeleton), other_shapes='center')


@pytest.mark.parametrize(
    ('shape', 'message'),
    [
        ('<points label="cat"/>', r"image 5 .*: points\[0\]: expected an attribute 'points'"),
        ('<points points="1,2"/>', r"image 5 .*: points\[0\]: expected an attribute 'label'"),
        ('<points label="c" points="1,x"/>', r'image 5 .*: points\[0\]: expected two numbers'),
        ('<points label="c" points="1;2"/>', r'points\[0\], place 0: expected two numbers'),
        ('<box label="c" xtl="1" ytl="1" xbr="2"/>', r"box\[0\]: expected an attribute 'ybr'"),
        (
            '<points label="c" points="1,2">',
            r'annotations.xml: invalid xml, line 5 column \d+: mismat',
        ),
    ],
)
def test_malformed_shapes(xml, shape, message):
    with pytest.raises(ValueError, match=message):
        cvat.read(xml(shape), other_shapes='center')


def test_malformed_files(tmp_path, xml):
    with pytest.raises(ValueError, match=r'annotations.xml: invalid xml, line 5 column'):
        cvat.read(xml(POINTS, tail=''))
    with pytest.raises(ValueError, match=r"annotations.xml: image 5 .*: .* attribute 'height'"):
        cvat.read(xml(image='<image id="5" name="a.jpg" width="60">'))
    with pytest.raises(ValueError, match=r"image 5 .*: expected width to be a whole .* '6.5'"):
        cvat.read(xml(image='<image id="5" name="a.jpg" width="6.5" height="4">'))
    with pytest.raises(ValueError, match='annotations.xml: expected <annotations>, got <html>'):
        cvat.read(xml(head='<html>', tail='</image></html>'))
    with pytest.raises(ValueError, match='annotations.xml: .*for images 1.1.*<track>'):
        cvat.read(xml(head=HEAD + '<track id="0"></track>'))
    for encoding in ('gb2312', 'unheard-of'):
        with pytest.raises(ValueError, match='annotations.xml: invalid xml, .*encoding'):
            cvat.read(xml(POINTS, head=HEAD.replace('utf-8', encoding)))
    with pytest.raises(FileNotFoundError, match='none.xml: there is no such file'):
        cvat.read(tmp_path / 'none.xml')


def test_sizes_against_the_files(tmp_path, images, image_dir, resize):
    cvat.write([images[0], resize(images[1], width=8)], tmp_path / 'a.xml')
    with pytest.raises(ValueError, match=r'a.xml: image 1 \(a\+2.png\): .* 7 x 33 in .*a\+2.png'):
        cvat.read(tmp_path / 'a.xml', image_dir=image_dir)


def test_labels_are_listed(tmp_path, images):
    cvat.write(images, tmp_path / 'a.xml')
    text = (tmp_path / 'a.xml').read_text()
    assert text.count('<label>') == 3
    assert '<name>cat</name>' in text


def test_background_clicks(tmp_path, clicked, image_dir, plain, all_plain):
    cvat.write(clicked, tmp_path / 'a.xml', classes=['dog', 'cow'])
    assert plain(cvat.read(tmp_path / 'a.xml', image_dir=image_dir)) == all_plain(clicked)
    names = re.findall('<name>(.*)</name>', (tmp_path / 'a.xml').read_text())
    assert names == ['dog', 'cow', 'background']


JOINT = '<points label="1" outside="{}" points="{}"></points>'


def test_a_skeleton_of_one_point_is_a_point_of_its_label(xml):
    skeleton = f'<skeleton label="cell">{JOINT.format(0, "3.25,2.75")}</skeleton>'
    (image,) = cvat.read(xml(skeleton))
    assert [(p.x, p.y, p.label) for p in image.points] == [(3.25, 2.75, 'cell')]
    outside = f'<skeleton label="cell">{JOINT.format(1, "3.25,2.75")}</skeleton>'
    with pytest.raises(ValueError, match=r'skeleton\[0\]: .* a skeleton whose point is outside'):
        cvat.read(xml(outside))
    (image,) = cvat.read(xml(outside, skeleton), skip_refused=True)
    assert len(image.points) == len(image.left_out) == 1


SUBSETS = """<annotations>
<image id="0" name="a.png" subset="Train" width="6" height="4">
<points label="c" points="1,2"/></image>
<image id="1" name="a.png" subset="Test" width="6" height="4">
<points label="c" points="3,2"/></image>
</annotations>"""


def test_images_of_a_project_are_in_the_folders_of_their_subsets(tmp_path):
    path = tmp_path / 'annotations.xml'
    path.write_text(SUBSETS)
    assert [image.file_name for image in cvat.read(path)] == ['Train/a.png', 'Test/a.png']
    for subset in ('Train', 'Test'):
        (tmp_path / 'images' / subset).mkdir(parents=True)
        Image.new('L', (6, 4)).save(tmp_path / 'images' / subset / 'a.png')
    images = cvat.read(path, image_dir=tmp_path / 'images')
    assert [(i.file_name, i.points[0].x) for i in images] == [('Train/a.png', 1), ('Test/a.png', 3)]
    path.write_text(SUBSETS.replace('name="a.png" subset="Test"', 'name="b.png" subset="Test"'))
    Image.new('L', (6, 4)).save(tmp_path / 'images' / 'b.png')  # a folder made flat
    images = cvat.read(path, image_dir=tmp_path / 'images')
    assert [image.file_name for image in images] == ['Train/a.png', 'b.png']


def test_what_has_no_place_is_left_out_on_request(xml):
    broken = '<points label="cat" points="1,x"/>'
    (image,) = cvat.read(xml(broken, POINTS, BOX), skip_refused=True, other_shapes='skip')
    assert len(image.points) == 1 and len(image.left_out) == 2
    with pytest.raises(ValueError, match='expected two numbers'):
        cvat.read(xml(broken))
