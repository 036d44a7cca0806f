import pytest

from mmp2seg.files.text_reading import decode_text, printable, read_text


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
    with pytest.raises(ValueError, match=r'^b: expected text in UTF-8, got the byte 0xff in line'):
        decode_text('chaise'.encode('utf-16'), where='b')


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
