import json

import pytest

from ..tool_runs import run_tool


@pytest.fixture
def instances(tmp_path):
    path = tmp_path / 'instances.json'
    square = [[10, 5, 15, 5, 15, 10, 10, 10]]
    shared = dict(image_id=1, category_id=3)
    content = dict(
        images=[dict(id=1, file_name='a.jpg', height=30, width=40)],
        categories=[dict(id=3, name='cat')],
        annotations=[
            dict(id=8, **shared, bbox=[10, 5, 5, 5], segmentation=square),
            dict(id=9, **shared, bbox=[99, 5, 5, 5], segmentation=square),
        ],
    )
    path.write_text(json.dumps(content))
    return path


def test_rules_and_their_options(instances, tmp_path, capsys):
    out = tmp_path / 'out.json'
    options = ['--sigma', '0.5', '--relative', '--num-points', '2', '--seed', '3']
    run_tool('instances_to_points', instances, out, '--rule', 'gaussian', *options)
    printed = capsys.readouterr().out
    assert f'{out}: gaussian, sigma 0.5 root of the area around the centre of the mass' in printed
    assert '2 points per object, seed 3\n1 images (0 without points), 2 points\n' in printed
    points = json.loads(out.read_text())['annotations']
    assert [(a['id'], len(a['points'])) for a in points] == [(8, 2), (9, 2)]
    options = ['--rule', 'gaussian', '--sigma', 0, '--anywhere']
    run_tool('instances_to_points', instances, out, *options)
    assert json.loads(out.read_text())['annotations'][0]['point'] == [12.5, 7.5]


def test_refused_objects_stop_unless_told(instances, tmp_path, capsys):
    out = tmp_path / 'out.json'
    arguments = ['instances_to_points', instances, out, '--rule', 'box-center']
    with pytest.raises(SystemExit, match='error: 1 annotations without a point .--skip-refused'):
        run_tool(*arguments)
    assert not out.exists()
    run_tool(*arguments, '--skip-refused')
    assert '1 points left out:\n  ' in capsys.readouterr().out
    assert [a['id'] for a in json.loads(out.read_text())['annotations']] == [8]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--rule', 'gaussian'], 'error: expected --sigma'),
        (['--rule', 'random', '--sigma', '1'], 'error: expected --sigma with --rule gaussian only'),
        (['--rule', 'gaussian', '--sigma', '1', '--center', 'box'], 'bbox is outside'),
    ],
)
def test_mistakes(instances, tmp_path, options, message):
    with pytest.raises(SystemExit, match=message):
        run_tool('instances_to_points', instances, tmp_path / 'out.json', *options)
    assert not (tmp_path / 'out.json').exists()
