import pytest

from mmp2seg.analysis.dataset_check.image_classes import compare_image_classes, read_image_classes
from mmp2seg.datasets.voc_layout import image_class_line, write_lines


def test_lines_are_read(tmp_path):
    path = tmp_path / 'train_cls.txt'
    path.write_text('\ufeff2007_000032 0 14\r\n\r\n2007_000039 19.0 3 3\nempty\n', encoding='utf-8')
    classes = read_image_classes(path, num_classes=20)
    assert classes == {'2007_000032': (0, 14), '2007_000039': (3, 19), 'empty': ()}
    assert list(classes) == ['2007_000032', '2007_000039', 'empty']
    path.write_text('')
    assert read_image_classes(path, num_classes=20) == {}


def test_what_is_written_is_read(tmp_path):
    labels = {'a': [2, 0, 2], 'b': [], 'c': [1]}
    write_lines(tmp_path / 'cls.txt', [image_class_line(name, labels[name]) for name in labels])
    classes = read_image_classes(tmp_path / 'cls.txt', num_classes=3)
    assert classes == {'a': (0, 2), 'b': (), 'c': (1,)}


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a 0\nb 20\n', r"cls\.txt:2: expected a class 0\.\.19, got '20'"),
        ('a -1\n', r"cls\.txt:1: expected a class 0\.\.19, got '-1'"),
        ('\na 1 0.5\n', r"cls\.txt:2: expected a class 0\.\.19, got '0.5'"),
        ('a cat\n', r"cls\.txt:1: expected a class 0\.\.19, got 'cat'"),
        ('a inf\n', r"cls\.txt:1: expected a class 0\.\.19, got 'inf'"),
        ('a 1\nb 2\na 1\n', r'cls\.txt:3: image a duplicates line 1'),
    ],
)
def test_broken_lines_are_named(tmp_path, text, message):
    (tmp_path / 'cls.txt').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_image_classes(tmp_path / 'cls.txt', num_classes=20)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'cls\.txt: there is no such file'):
        read_image_classes(tmp_path / 'cls.txt', num_classes=20)
    (tmp_path / 'cls.txt').write_bytes(b'a \xff')
    with pytest.raises(ValueError, match=r'cls\.txt: expected text in UTF-8'):
        read_image_classes(tmp_path / 'cls.txt', num_classes=20)


def test_disagreements_of_lines_and_points():
    image_classes = {'same': (0, 2), 'more': (0, 1), 'less': (), 'other': (1,), 'unused': (3,)}
    point_classes = {
        'same': [2, 0, 2],
        'more': [1],
        'less': [4, 3, 4],
        'other': [0],
        'absent': [1],
        'absent_and_empty': [],
    }
    assert compare_image_classes(image_classes, point_classes) == {
        'more': ((), (0,)),
        'less': ((3, 4), ()),
        'other': ((0,), (1,)),
        'absent': ((1,), ()),
    }
    assert compare_image_classes({}, {}) == {}
