"""Tables as the tools write them, with their column names; see the sources in the module."""

import pytest
from PIL import Image

from mmp2seg.converters.point_formats.table_exports import EXPORTS, recognize_table

QUPATH = (
    'Image\tObject ID\tName\tClass\tParent\tROI\tCentroid X px\tCentroid Y px\n'
    'a.png\t0f-1\tPathDetectionObject\tcell\tRoot\tPoint\t3.5\t2.5\n'
    'b.png\t0f-2\t\tdirt\tRoot\tPoint\t9\t6\n'
)
QUPATH_05 = (
    'Image,Object ID,Object type,Name,Classification,Parent,ROI,Centroid X µm,Centroid Y µm,'
    'Num points\n'
    'a.png,0f-1,Annotation,,cell,Root,Points,1.75,1.25,1\n'
    'b.png,0f-2,Annotation,,dirt,Root,Points,4.5,3.0,1\n'
)
IMAGEJ = ' ,Label,X,Y,Counter,Count\n1,a.png,3.5,2.5,0,1\n2,b.png:0001-0003,9,6,1,1\n'
MAKESENSE = 'cell,4,3,a.png,12,8\ndirt,12,8,b.png,12,8'
VIA = (
    'filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,'
    'region_attributes\n'
    'a.png,120,"{}",1,0,"{""name"":""point"",""cx"":4,""cy"":3}","{""class"":""cell""}"\n'
    'b.png,120,"{}",1,0,"{""name"":""point"",""cx"":9,""cy"":6}",'
    '"{""class"":{""dirt"":true,""cell"":false}}"\n'
    'c.png,120,"{}",0,0,"{}","{}"\n'
)
DEEPFOREST = 'image_path,x,y,label\na.png,3.5,2.5,cell\nb.png,9.0,6.0,dirt\n'

FIRST = dict(makesense=(4, 3), via=(4, 3))


@pytest.fixture
def read(tmp_path):
    """Reads the text of a table, with images a, b and c of 12 x 8 pixels."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in 'abc':
        Image.new('L', (12, 8)).save(folder / f'{name}.png')

    def run(name, text, **options):
        path = tmp_path / 't.csv'
        path.write_text(text, encoding='utf-8')
        return EXPORTS[name].read(path, **{'image_dir': folder, **options})

    return run


def found(images):
    return [(i.file_name, [(p.x, p.y, p.label) for p in i.points]) for i in images]


@pytest.mark.parametrize(
    ('name', 'text', 'options', 'second'),
    [
        ('qupath', QUPATH, {}, (9, 6, 'dirt')),
        ('qupath', QUPATH_05, dict(pixel_size=0.5), (9, 6, 'dirt')),
        ('imagej', IMAGEJ, {}, (9, 6, '1')),
        ('makesense', MAKESENSE, {}, (12, 8, 'dirt')),
        ('via', VIA, {}, (9, 6, 'dirt')),
        ('via', '#' + VIA, {}, (9, 6, 'dirt')),
        ('deepforest', DEEPFOREST, {}, (9, 6, 'dirt')),
    ],
)
def test_exports(read, name, text, options, second):
    assert recognize_table(text) == name
    images = found(read(name, text, **options))
    label = '0' if name == 'imagej' else 'cell'
    assert images[0] == ('a.png', [(*FIRST.get(name, (3.5, 2.5)), label)])
    assert images[1] == ('b.png', [second])
    assert images[2:] == ([('c.png', [])] if name == 'via' else [])


def test_other_tables_are_none_of_these():
    for text in ('', 'a,b\n1,2\n', 'file,x,y,class\n', 'cell,4,3,a.png,12\n', 'X,Y\n1,2\n'):
        assert recognize_table(text) is None


def test_qupath_in_micrometres_needs_the_size_of_a_pixel(read):
    with pytest.raises(ValueError, match=r'got µm: --pixel-size UM is the size of a pixel'):
        read('qupath', QUPATH_05)


def test_qupath_exports_the_mean_of_several_points(read):
    text = QUPATH_05.replace('1.25,1\n', '1.25,7\n')
    with pytest.raises(ValueError, match=r't\.csv:2: expected an object of one point, got 7'):
        read('qupath', text, pixel_size=0.5)
    assert len(read('qupath', text, pixel_size=0.5, skip_refused=True)) == 2


def test_qupath_without_a_class(read):
    text = QUPATH.replace('cell', '')
    with pytest.raises(ValueError, match=r't\.csv:2: expected a class, got none .--class-name'):
        read('qupath', text)
    images = read('qupath', text, class_name='nucleus')
    assert {p.label for image in images for p in image.points} == {'nucleus'}


def test_imagej_with_whole_numbers_has_pixel_indices(read):
    whole = IMAGEJ.replace('3.5,2.5', '3,2')
    assert found(read('imagej', whole))[0] == ('a.png', [(3.5, 2.5, '0')])
    assert found(read('imagej', whole, pixel_indices=False))[0] == ('a.png', [(3, 2, '0')])
    assert found(read('imagej', IMAGEJ, pixel_indices=True))[0] == ('a.png', [(4, 3, '0')])


def test_imagej_without_label_and_counter(read, tmp_path):
    text = ' \tX\tY\n1\t3.5\t2.5\n'
    assert recognize_table(text) == 'imagej'
    with pytest.raises(ValueError, match='expected a class, got no column Counter: --class-name'):
        read('imagej', text)
    with pytest.raises(ValueError, match='a column Label .* or a folder of one image, got 3 im'):
        read('imagej', text, class_name='cell')
    for name in 'bc':
        (tmp_path / 'images' / f'{name}.png').unlink()
    assert found(read('imagej', text, class_name='cell')) == [('a.png', [(3.5, 2.5, 'cell')])]


def test_makesense_states_sizes(read):
    with pytest.raises(ValueError, match='expected 13 x 8 pixels .* got 12 x 8'):
        read('makesense', 'cell,4,3,a.png,13,8')
    with pytest.raises(ValueError, match=r'one size of a\.png, got 12 x 9 after 12 x 8'):
        read('makesense', 'cell,4,3,a.png,12,8\ncell,4,3,a.png,12,9')
    with pytest.raises(ValueError, match=r't\.csv:1: expected label, x, y, image, width, height'):
        read('makesense', DEEPFOREST)


def test_via_shapes_and_attributes(read):
    rect = VIA.replace(
        '{""name"":""point"",""cx"":4,""cy"":3}',
        '{""name"":""rect"",""x"":2,""y"":1,""width"":3,""height"":4}',
    )
    with pytest.raises(ValueError, match=r't\.csv:2: expected a point, got a rect'):
        read('via', rect)
    assert found(read('via', rect, other_shapes='center'))[0] == ('a.png', [(3.5, 3, 'cell')])
    assert found(read('via', rect, other_shapes='skip'))[0] == ('a.png', [])
    two = VIA.replace('{""class"":""cell""}', '{""class"":""cell"",""size"":""big""}')
    with pytest.raises(ValueError, match=r"expected one attribute, the class, got \['class', 's"):
        read('via', two)
    assert found(read('via', two, class_attribute='class')) == found(read('via', VIA))
    none = VIA.replace('{""class"":""cell""}', '{}')
    with pytest.raises(ValueError, match=r't\.csv:2: expected a class, got none'):
        read('via', none)


def test_deepforest_boxes(read):
    boxes = 'image_path,xmin,ymin,xmax,ymax,label\na.png,2,1,5,4,tree\n'
    assert recognize_table(boxes) == 'deepforest'
    with pytest.raises(ValueError, match=r't\.csv:2: expected a point, got a box .*center takes'):
        read('deepforest', boxes)
    images = read('deepforest', boxes, other_shapes='center')
    assert found(images) == [('a.png', [(3.5, 2.5, 'tree')])]


@pytest.mark.parametrize(
    ('name', 'text', 'column'),
    [
        ('qupath', QUPATH, 'Image'),
        ('via', VIA, 'filename'),
        ('deepforest', DEEPFOREST, 'image_path'),
        ('imagej', IMAGEJ, 'Label'),
    ],
)
def test_rows_that_cannot_be_placed(read, name, text, column):
    broken = text.replace('a.png', '', 1)
    with pytest.raises(ValueError, match=rf't\.csv:2: expected an image in {column}, got none'):
        read(name, broken)
    images = read(name, broken, skip_refused=True)
    assert next(image.file_name for image in images if not image.missing) == 'b.png'
    assert any('expected an image' in image.missing for image in images)


@pytest.mark.parametrize('name', EXPORTS)
def test_images_without_a_row(read, name):
    text = dict(qupath=QUPATH, imagej=IMAGEJ, makesense=MAKESENSE, via=VIA, deepforest=DEEPFOREST)[
        name
    ]
    images = read(name, text, list_images=True)
    assert [image.file_name for image in images] == ['a.png', 'b.png', 'c.png']
