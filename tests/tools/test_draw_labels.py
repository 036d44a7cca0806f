import numpy as np
import pytest
from PIL import Image

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle

from .tool_runs import run_tool


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three images, each with a mask, and the first with a point that has none."""
    monkeypatch.chdir(tmp_path)
    mask = np.zeros((20, 30), bool)
    mask[5:15, 5:15] = True
    names = ['a.png', 'b.png', 'c.png']
    for name in names:
        Image.new('RGB', (30, 20), 'grey').save(name)
    annotation = dict(
        category_id=3, bbox=[5, 5, 10, 10], area=100, segmentation=encode_rle(mask), iscrowd=0,
        score=0.5, point=[10.5, 10.5], point_id=1,
    )  # fmt: skip
    dropped = dict(image_id=1, category_id=3, point=[25, 3], point_id=2, reason='no_pixels')
    images = [
        dict(id=number, file_name=name, height=20, width=30)
        for number, name in enumerate(names, start=1)
    ]
    write_json(
        'labels.json',
        dict(
            images=images,
            categories=[dict(id=3, name='cat')],
            annotations=[dict(annotation, id=i['id'], image_id=i['id']) for i in images],
            dropped_points=[dropped],
        ),
    )
    return tmp_path


def size_of(*options):
    run_tool('draw_labels', 'labels.json', '.', 'sheet.png', '--height', '40', *options)
    with Image.open('sheet.png') as sheet:
        return sheet.size, len(sheet.convert('RGB').getcolors(10**6))


def test_sheet(folder):
    (width, height), colors = size_of()
    assert width >= 3 * 60 + 2 * 8
    assert size_of('--num', '2')[0][1] < height
    assert size_of('--names', 'b.png', '--colors', '4')[1] <= 4 < colors


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['labels.json', '.', 'sheet.jpg'], 'expected a .png file to write, got sheet.jpg'),
        (['gone.json', '.', 'sheet.png'], 'gone.json'),
        (['labels.json', 'gone', 'sheet.png'], 'a.png: no such file'),
        (['labels.json', '.', 'sheet.png', '--names', 'x.png'], 'labels.json has no image x.png'),
    ],
)
def test_mistakes_end_with_one_line(folder, arguments, message):
    with pytest.raises(SystemExit) as info:
        run_tool('draw_labels', *arguments)
    assert message in info.value.code and '\n' not in info.value.code


def test_colors_are_checked(folder, capsys):
    with pytest.raises(SystemExit):
        run_tool('draw_labels', 'labels.json', '.', 'a.png', '--colors', '1')
    assert 'expected 2 to 256, got 1' in capsys.readouterr().err
