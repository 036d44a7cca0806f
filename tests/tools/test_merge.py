import json
import runpy

import pytest

from .tool_runs import TOOLS

IMAGE = dict(height=8, width=8)
CATEGORIES = [dict(id=1, name='cat')]


@pytest.fixture
def points(toy_project):
    """Two files of an image each, with the same ids."""
    for name in ('a', 'b'):
        content = dict(
            images=[dict(id=1, file_name=f'{name}.png', **IMAGE)],
            annotations=[dict(id=1, image_id=1, category_id=1, point=[2, 3])],
            categories=CATEGORIES,
        )
        (toy_project.folder / f'{name}.json').write_text(json.dumps(content))
    return toy_project.folder


def run(name, *argv):
    runpy.run_path(str(TOOLS / name))['main']([str(argument) for argument in argv])


def test_split_takes_a_merge_apart(points, capsys):
    whole = points / 'new' / 'whole.json'
    files = [points / f'{name}.json' for name in ('a', 'b')]
    run('merge.py', *files, '--out', whole, '--renumber')
    assert capsys.readouterr().out == f'{whole}: 2 annotations in 2 images\n'
    run('split.py', whole, 2, '--out', points / 'parts')
    paths = [points / 'parts' / f'whole_{number}of2.json' for number in (1, 2)]
    assert capsys.readouterr().out.split() == list(map(str, paths))
    contents = [json.loads(path.read_text()) for path in paths]
    assert [content['images'][0]['file_name'] for content in contents] == ['a.png', 'b.png']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['a.json', 'b.json', '--out', 'c.json'], 'a.json and b.json: image id 1 is a.png in'),
        (['a.json', 'gone.json', '--out', 'c.json'], 'gone.json: there is no such file'),
        (['a.json', 'b.json', '--out', './a.json'], '--out: expected another file than the input'),
        (['a.json', '--out', 'c.txt'], '--out: expected a .json file, got c.txt'),
    ],
)
def test_mistakes_end_with_one_line(points, mistake_of, arguments, message):
    error = mistake_of('merge.py', *arguments)
    assert error.startswith(f'merge.py: error: {message}') and '\n' not in error
    assert not (points / 'c.json').exists()
