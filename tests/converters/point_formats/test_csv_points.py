import pytest
from PIL import Image

from mmp2seg.converters.point_formats import csv_points


@pytest.fixture
def read(tmp_path, image_dir):
    """Reads a table of the given text."""

    def run(text, **options):
        path = tmp_path / 'points.csv'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return csv_points.read(path, image_dir=image_dir, **options)

    return run


def test_round_trip(tmp_path, images, image_dir, plain):
    path = tmp_path / 'p.csv'
    csv_points.write(images, path)
    assert path.read_text().splitlines()[:2] == [
        'file,x,y,class',
        'b 1.jpg,12.3456789,0.30000000000000004,dog',
    ]
    assert plain(csv_points.read(path, image_dir=image_dir)) == plain(images[:2])
    again = csv_points.read(path, image_dir=image_dir, list_images=True)
    assert plain(again) == plain(images)


def test_round_trip_of_pixel_indices(tmp_path, images, image_dir):
    csv_points.write(images, tmp_path / 'p.csv', pixel_indices=True)
    assert '\nb 1.jpg,0.0,-0.5,dog\n' in (tmp_path / 'p.csv').read_text()
    again = csv_points.read(tmp_path / 'p.csv', image_dir=image_dir, pixel_indices=True)
    places = [(p.x, p.y) for image in again for p in image.points]
    wanted = [(p.x, p.y) for image in images for p in image.points]
    assert [v for p in places for v in p] == pytest.approx(
        [v for p in wanted for v in p], abs=1e-12
    )


@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
def test_header_of_any_order(read, delimiter):
    lines = ['Class,Y,note, FILE,X', 'cat,2,n,b 1.jpg,1', '', 'dog, 3.5 ,"a, b",b 1.jpg,4']
    if delimiter != ',':
        lines[3] = 'dog, 3.5 ,"a; b\tc",b 1.jpg,4'
    text = '\ufeff' + '\r\n'.join(line.replace(',', delimiter) for line in lines)
    (image,) = read(text)
    assert (image.height, image.width) == (40, 60)
    assert [(p.x, p.y, p.label) for p in image.points] == [(1, 2, 'cat'), (4, 3.5, 'dog')]
    assert [p.where.rsplit('/', 1)[1] for p in image.points] == ['points.csv:2', 'points.csv:4']


def test_images_in_the_order_of_their_first_lines(read):
    images = read('file,x,y,class\nb 1.jpg,1,2,c\na+2.png,1,2,c\nb 1.jpg,0,0,c\n')
    assert [(image.file_name, len(image.points)) for image in images] == [
        ('b 1.jpg', 2),
        ('a+2.png', 1),
    ]


@pytest.mark.parametrize('end', ['\r', '\n', '\r\n'])
def test_ends_of_lines(read, end):
    (image,) = read(end.join(['file,x,y,class', 'b 1.jpg,1,2,c', 'b 1.jpg,3,4,d', '']))
    assert [(p.x, p.y, p.label) for p in image.points] == [(1, 2, 'c'), (3, 4, 'd')]
    assert image.points[1].where.endswith('points.csv:3')


def test_one_image_of_several_spellings(read):
    names = ['b 1.jpg', './b 1.jpg', '.\\b 1.jpg', 'x/../b 1.jpg', './/b 1.jpg']
    (image,) = read('\n'.join(['file,x,y,class', *(f'{name},1,2,c' for name in names)]))
    assert (image.file_name, len(image.points)) == ('b 1.jpg', 5)


@pytest.mark.parametrize('name', ['../b.jpg', 'x/../../b.jpg', '..', '.', '/b.jpg', 'C:\\b.jpg'])
def test_files_outside_of_the_folder(read, name):
    with pytest.raises(ValueError, match=r'points.csv:2: expected a file in the image folder, got'):
        read(f'file,x,y,class\n{name},1,2,c\n')


def test_no_rows(read):
    for text in ('file,x,y,class\n', 'file,x,y,class', 'file,x,y,class\r\n,,,\r\n'):
        with pytest.raises(
            ValueError, match='expected rows below the header, got none .--list-images'
        ):
            read(text)
        assert len(read(text, list_images=True)) == 3


def test_images_of_subfolders(tmp_path, images, image_dir):
    (image_dir / 'sub').mkdir()
    (image_dir / 'b 1.jpg').rename(image_dir / 'sub/b 1.jpg')
    (image_dir / 'notes.txt').touch()
    (tmp_path / 'p.csv').write_text('file,x,y,class\nsub\\b 1.jpg,1,2,c\n')
    found = csv_points.read(tmp_path / 'p.csv', image_dir=image_dir, list_images=True)
    assert [image.file_name for image in found] == ['sub/b 1.jpg', 'a+2.png', 'empty.jpg']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', "points.csv:1: expected a header .* got ''"),
        ('file,x,class\n', "points.csv:1: expected a header with file, x, y, class, .* 'file,x,cl"),
        ('file,x,y,class,x\n', 'points.csv:1: expected a header'),
        ('b 1.jpg,1,2,cat\n', "points.csv:1: expected a header .* got 'b 1.jpg"),
        ('file,x,y,class\nb 1.jpg,1,2,c\nb 1.jpg,1\n', r'points.csv:3: expected 4 values, got 2'),
        ('file,x,y,class\nb 1.jpg,1,2,c,d\n', r'points.csv:2: expected 4 values, got 5'),
        ('file,x,y,class\nb 1.jpg,1,,c\n', r"points.csv:2: expected two numbers .*\['1', ''\]"),
        ('file,x,y,class\nb 1.jpg,one,2,c\n', r"points.csv:2: expected two numbers .*'one'"),
        ('file,x,y,class\nb 1.jpg,1,2,\n', "points.csv:2: expected a file and a class, got 'b 1"),
        ('file,x,y,class\n,1,2,c\n', "points.csv:2: expected a file and a class, got ''"),
        ('file,x,y,class\n"b 1.jpg,1,2,c\n', 'points.csv:2: invalid table, unexpected end of data'),
        (b'file,x,y,class\nb\xff.jpg,1,2,c\n', r'points\.csv: expected text in UTF-8, .* line 2'),
    ],
)
def test_malformed(read, text, message):
    with pytest.raises(ValueError, match=message):
        read(text)


def test_missing_files(tmp_path, read, image_dir):
    with pytest.raises(FileNotFoundError, match=r'points.csv:2: .*c.jpg: no such file'):
        read('file,x,y,class\nc.jpg,1,2,c\n')
    with pytest.raises(FileNotFoundError, match='none.csv: there is no such file'):
        csv_points.read(tmp_path / 'none.csv', image_dir=image_dir)
    (tmp_path / 'p.csv').write_text('file,x,y,class\n')
    with pytest.raises(FileNotFoundError, match='nowhere: no such folder'):
        csv_points.read(tmp_path / 'p.csv', image_dir=tmp_path / 'nowhere', list_images=True)
    (image_dir / 'b 1.jpg').write_text('no image')
    with pytest.raises(ValueError, match=r'points.csv:2: .*b 1.jpg: expected an image file'):
        read('file,x,y,class\nb 1.jpg,1,2,c\n')


def test_background_clicks(tmp_path, clicked, image_dir, plain, all_plain):
    path = tmp_path / 'p.csv'
    csv_points.write(clicked, path)
    assert 'b 1.jpg,7.25,3.5,background' in path.read_text().splitlines()
    assert plain(csv_points.read(path, image_dir=image_dir)) == all_plain(clicked)


def test_names_without_suffix(read, image_dir):
    """A name without suffix and the whole name are one image; a file of that name goes first."""
    (image_dir / 'sub').mkdir()
    Image.new('L', (3, 2)).save(image_dir / 'sub/x.1.PNG')
    (image_dir / 'sub/x.1.txt').touch()
    rows = ['b 1,1,2,c', 'b 1.jpg,3,4,c', 'a+2,0,0,c', 'sub\\x.1,1,1,c', './b 1,5,6,c']
    images = read('\n'.join(['file,x,y,class', *rows]))
    assert [(image.file_name, len(image.points)) for image in images] == [
        ('b 1.jpg', 3),
        ('a+2.png', 1),
        ('sub/x.1.PNG', 1),
    ]
    Image.new('L', (9, 8)).save(image_dir / 'b 1', format='png')
    assert [image.file_name for image in read('file,x,y,class\nb 1,1,2,c')] == ['b 1']


def test_names_without_suffix_are_not_guessed(read, image_dir):
    Image.new('L', (3, 2)).save(image_dir / 'b 1.png')
    message = r"points.csv:3: expected the name of one image, got 'b 1', which fits b 1.jpg and b 1"
    with pytest.raises(ValueError, match=message):
        read('file,x,y,class\nb 1.jpg,0,0,c\nb 1,1,2,c\n')
    for name in ('b', 'b 1.', 'b 1.jpeg', 'x/b 1', 'B 1.jpg.jpg'):
        with pytest.raises(FileNotFoundError, match=rf'points.csv:2: .*{name}: no such file'):
            read(f'file,x,y,class\n{name},1,2,c\n')


def test_names_of_columns_and_one_class(read):
    text = 'Bild;Pos X;Pos Y;Art\nb 1;10,5;20,25;cat\n'
    columns = {'file': 'Bild', 'x': 'Pos X', 'y': 'pos y', 'class': 'Art'}
    (image,) = read(text, columns=columns)
    assert [(p.x, p.y, p.label) for p in image.points] == [(10.5, 20.25, 'cat')]
    (image,) = read('file,x,y\nb 1,1,2\n', class_name='dog')
    assert image.points[0].label == 'dog'
    with pytest.raises(ValueError, match="--columns: expected file, x, y, class, got 'width'"):
        read(text, columns={'width': 'Bild'})
    with pytest.raises(ValueError, match='expected a header with Name, x, y, class, each once'):
        read(text, columns={'file': 'Name'})


def test_tables_of_excel(read):
    text = 'sep=;\nfile;x;y;class\nb 1;10,5;2;Größe\n'
    (image,) = read(text.encode('cp1252'), encoding='cp1252')
    assert [(p.x, p.y, p.label) for p in image.points] == [(10.5, 2, 'Größe')]
    assert image.points[0].where.endswith('points.csv:3')
    (image,) = read(text.replace('sep=;\n', '').replace(';', '\t').encode('utf-16'))
    assert image.points[0].label == 'Größe'
