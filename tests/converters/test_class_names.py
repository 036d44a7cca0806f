import pytest

from mmp2seg.converters.class_names import resolve_classes


def test_names_files_and_known_data_sets(tmp_path):
    assert resolve_classes(['cat', 'dining table']) == ['cat', 'dining table']
    assert resolve_classes(['one']) == ['one']
    path = tmp_path / 'classes.txt'
    path.write_text('cat\n\n dining table \n')
    assert resolve_classes([str(path)]) == ['cat', 'dining table']
    path.write_text('chaise\nthé\n', encoding='utf-8-sig')  # with a byte order mark
    assert resolve_classes([str(path)]) == ['chaise', 'thé']
    voc, coco = resolve_classes(['voc']), resolve_classes(['coco'])
    assert (len(voc), voc[0], voc[-1]) == (20, 'aeroplane', 'tvmonitor')
    assert (len(coco), coco[0], coco[-1]) == (80, 'person', 'toothbrush')


def test_a_file_in_another_encoding_is_named(tmp_path):
    path = tmp_path / 'classes.txt'
    path.write_bytes('chaise\nthé\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'classes\.txt: expected text in UTF-8'):
        resolve_classes([str(path)])


def test_no_names_and_names_twice(tmp_path):
    (tmp_path / 'empty.txt').touch()
    for names in ([], [str(tmp_path / 'empty.txt')]):
        with pytest.raises(ValueError, match='at least one class name'):
            resolve_classes(names)
    with pytest.raises(ValueError, match="'cat' twice"):
        resolve_classes(['cat', 'dog', 'cat'])
    (tmp_path / 'twice.txt').write_text('cat\ncat\n')
    for name in ('empty.txt', 'twice.txt'):
        with pytest.raises(ValueError, match=f'{name}: expected'):
            resolve_classes([str(tmp_path / name)])
