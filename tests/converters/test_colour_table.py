import pytest

from mmp2seg.converters.colour_table import read_colour_table

TEXT = """# label:color_rgb:parts:actions
cell:48,112,32::
background:0,0,0::
dirt:1,2,3::
"""


@pytest.fixture
def labelmap(tmp_path):
    path = tmp_path / 'labelmap.txt'
    path.write_text(TEXT)
    return str(path)


def test_a_labelmap_of_cvat(labelmap):
    table, names = read_colour_table([labelmap])
    assert table == {(0, 0, 0): 0, (48, 112, 32): 1, (1, 2, 3): 2}
    assert names == ['cell', 'dirt']


def test_the_order_and_the_choice_of_the_classes(labelmap):
    table, names = read_colour_table([labelmap], classes=['dirt'])
    assert table == {(0, 0, 0): 0, (48, 112, 32): 0, (1, 2, 3): 1}
    assert names == ['dirt']
    with pytest.raises(ValueError, match=r"expected a colour of 'dog', got those of \['cell'"):
        read_colour_table([labelmap], classes=['dog'])


def test_entries_without_a_file():
    table, names = read_colour_table(['a b=255,255,255', 'ignore=9,9,9', 'c=0,0,0'])
    assert table == {(0, 0, 0): 2, (255, 255, 255): 1, (9, 9, 9): 255}
    assert names == ['a b', 'c']


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['a=1,2'], r"a=1,2: expected a name and a colour R,G,B of 0\.\.255, got 'a', '1,2'"),
        (['a=1,2,256'], 'expected a name and a colour'),
        (['a=1,2,x'], 'expected a name and a colour'),
        (['=1,2,3'], 'expected a name and a colour'),
        (['a=1,2,3', 'a=1,2,4'], "expected each name once, got 'a' again"),
        (['a=1,2,3', 'b=1,2,3'], r'expected each colour once, got \(1, 2, 3\) again'),
        (['background=1,2,3', 'ignore=1,2,4'], r'expected colours of 1\.\.254 classes, got 0'),
    ],
)
def test_mistakes(words, message):
    with pytest.raises(ValueError, match=message):
        read_colour_table(words)


def test_lines_of_a_file_are_named(tmp_path):
    path = tmp_path / 'l.txt'
    path.write_text('# comment\n\ncell 1,2,3\n')
    with pytest.raises(ValueError, match=r'l\.txt:3: expected a name and a colour'):
        read_colour_table([str(path)])
    with pytest.raises(FileNotFoundError, match=r'none\.txt: no such file'):
        read_colour_table([str(tmp_path / 'none.txt')])
