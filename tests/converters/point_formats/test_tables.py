import pytest

from mmp2seg.converters.point_formats.tables import first_row, read_table


@pytest.fixture
def table(tmp_path):
    """Reads a table of the given text or bytes."""

    def run(content, **options):
        path = tmp_path / 't.csv'
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, **options)

    return run


def rows(table, **options):
    return [row.values for row in table.rows(**options)]


@pytest.mark.parametrize('line', ['sep=;', 'SEP=;', '"sep=;"', 'sep=; '])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_a_line_that_states_the_separator(table, line, end):
    found = table(end.join([line, 'a;b', '1,5;2', '']))
    assert (found.delimiter, found.header) == (';', ('a', 'b'))
    assert rows(found) == [('1,5', '2')]
    (row,) = found.rows()
    assert row.where.endswith('t.csv:3')
    assert first_row(end.join([line, 'a;b'])) == ['a', 'b']


@pytest.mark.parametrize('delimiter', [';', '\t'])
def test_decimal_comma(table, delimiter):
    text = delimiter.join('xy') + '\n' + delimiter.join(['10,5', '-0,25e1']) + '\n'
    (row,) = table(text).rows()
    assert row.numbers('x', 'y') == (10.5, -2.5)
    for wrong in ('1.000,5', '1,2,3', ',', '1,'):
        (row,) = table(f'x{delimiter}y\n{wrong}{delimiter}2\n').rows()
        with pytest.raises(ValueError, match=r't\.csv:2: expected two numbers x, y'):
            row.numbers('x', 'y')


def test_with_commas_between_the_fields_no_comma_is_decimal(table):
    (row,) = table('x,y\n"1,234",2\n').rows()
    with pytest.raises(ValueError, match='expected two numbers'):
        row.numbers('x', 'y')


def test_encodings(table):
    text = 'Größe\tx\nä\t1\n'
    for content, options in (
        (text.encode('utf-16'), {}),
        (text.encode('utf-8-sig'), {}),
        (text.encode('cp1252'), dict(encoding='cp1252')),
    ):
        found = table(content, **options)
        assert found.header == ('Größe', 'x') and rows(found) == [('ä', '1')]
    with pytest.raises(ValueError, match=r't\.csv: expected text in UTF-8, .* in line 1'):
        table(text.encode('cp1252'))


def test_columns_are_found_in_any_case(table):
    found = table('File,X\na,1\n')
    assert found.has('file') and not found.has('y')
    (row,) = found.rows()
    assert (row['FILE'], row.get('y')) == ('a', '')
    with pytest.raises(ValueError, match=r't\.csv:1: expected a header with file, y, each once'):
        found.require_columns(['file', 'y'])
    with pytest.raises(ValueError, match=r't\.csv:2: expected a header'):
        table('sep=,\nx,X\n').require_columns(['x'])


def test_malformed_rows(table):
    with pytest.raises(ValueError, match=r't\.csv:3: expected 2 values, got 1'):
        rows(table('a,b\n1,2\n3\n'))
    with pytest.raises(ValueError, match=r't\.csv:2: invalid table, unexpected end of data'):
        rows(table('a,b\n"1,2\n'))
    assert rows(table('')) == []
    assert rows(table('1,2\n\n3,4\n'), has_header=False) == [('1', '2'), ('3', '4')]
