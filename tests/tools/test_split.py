import pytest


@pytest.mark.parametrize(
    ('content', 'arguments', 'message'),
    [
        (None, ['2'], 'points.json: there is no such file'),
        ('[]', ['2'], 'points.json: expected a json object, got a list'),
        ('{"images": [', ['2'], 'points.json: invalid json, line 1 column 13'),
        ('{"images": [], "annotations": [], "categories": []}', ['1'], 'expected 1 to 0 parts'),
    ],
)
def test_mistakes_end_with_one_line(toy_project, mistake_of, content, arguments, message):
    if content is not None:
        (toy_project.folder / 'points.json').write_text(content)
    error = mistake_of('split.py', 'points.json', *arguments, '--out', 'parts')
    assert error.startswith('split.py: error: ') and message in error and '\n' not in error


def test_the_number_of_parts(toy_project, mistake_of, capsys):
    assert mistake_of('split.py', 'points.json', '0', '--out', 'parts') == 2
    assert 'expected at least 1, got 0' in capsys.readouterr().err
