import pytest

from mmp2seg.files.text_reading import decode_text, printable, read_text, whole_number


def test_text_with_and_without_a_mark(tmp_path):
    path = tmp_path / 'a.txt'
    for encoding in ('utf-8', 'utf-8-sig'):
        path.write_bytes('thé\r\nchaise\n'.encode(encoding))
        assert read_text(path) == 'thé\r\nchaise\n'
    assert decode_text(b'', where='a.txt') == ''


@pytest.mark.parametrize('mark', [b'', b'\xef\xbb\xbf'])
def test_other_encodings_are_named(tmp_path, mark):
    path = tmp_path / 'a.txt'
    path.write_bytes(mark + 'chaise\nthé\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'/a\.txt: expected text in UTF-8, .* 0xe9 in line 2'):
        read_text(path)
    with pytest.raises(ValueError, match=r'^b: expected text in UTF-8, got the byte 0xe7 in line'):
        decode_text(b'fa\xe7on', where='b')


def test_utf_16_with_a_mark_and_given_encodings(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_bytes('thé\tx\n'.encode('utf-16'))
    assert read_text(path) == 'thé\tx\n'
    assert decode_text(b'\xfe\xff\x00a', where='') == 'a'
    path.write_bytes('thé'.encode('cp1252'))
    assert read_text(path, encoding='cp1252') == 'thé'
    assert decode_text(b'\xef\xbb\xbfa', where='', encoding='utf-8') == 'a'
    with pytest.raises(ValueError, match='c: expected text in ASCII, got the byte 0xe9 in line 1'):
        decode_text('é'.encode('latin-1'), where='c', encoding='ascii')
    with pytest.raises(ValueError, match="expected the name of an encoding, got 'latin-99'"):
        decode_text(b'a', where='c', encoding='latin-99')


def test_missing_file(tmp_path):
    for path in (tmp_path / 'a.txt', tmp_path):
        with pytest.raises(FileNotFoundError, match=f'{path}: there is no such file'):
            read_text(path)


@pytest.mark.parametrize(
    ('text', 'shown'),
    [
        ('a b\u00e9\u4e2d\U0001f4a5.png', 'a b\u00e9\u4e2d\U0001f4a5.png'),
        ('a\nb\r\x00', 'a\\nb\\r\\x00'),
        ('\x1b[31mred', '\\x1b[31mred'),
        ('\u2028\udcff', '\\u2028\\udcff'),
    ],
)
def test_printable_escapes_what_a_terminal_obeys_or_does_not_show(text, shown):
    assert printable(text) == shown


def test_whole_numbers():
    assert [whole_number(text) for text in ('0', ' 12 ', '9' * 18)] == [0, 12, 10**18 - 1]
    assert {whole_number(text) for text in ('', '-1', '1.0', 'a', '9' * 19, '1' * 5000)} == {None}
