import pickle
import re

import pytest


@pytest.fixture
def checkpoint(toy_project):
    process = toy_project.tool('train.py', toy_project.config, '--cfg-options', 'seed=1')
    assert process.returncode == 0, process.stderr
    return toy_project.work_dir / 'iter_3.pth'


def test_one_process_and_two_see_every_image_once(toy_project, checkpoint):
    out = toy_project.folder / 'predictions.pkl'
    one = toy_project.tool('test.py', toy_project.config, checkpoint, '--out', out)
    assert one.returncode == 0, one.stderr
    two = toy_project.tool('dist_test.sh', toy_project.config, checkpoint, 2)
    assert two.returncode == 0, two.stderr
    for process in (one, two):
        log = process.stdout + process.stderr
        # five images: an uneven share for the second process; 0 + 1 + 2 + 3 + 4 = 10
        assert re.search(r'seen: 5\.?0*\s+sum: 10\.?0*\s', log)
    predictions = pickle.loads(out.read_bytes())
    assert [sample['index'] for sample in predictions] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['gone.py', 'toy.py'], 'config not found: gone.py'),
        (['toy.py', 'gone.pth'], 'checkpoint not found: gone.pth'),
        (
            ['toy.py', 'toy.py', '--out', 'x.txt'],
            '--out: expected a .pkl or .pickle file, got x.txt',
        ),
        (
            ['toy.py', 'toy.py', '--show-dir', 'x'],
            '--show, --show-dir: the config has no default_hooks.visualization',
        ),
    ],
)
def test_mistakes_end_with_one_line(mistake_of, arguments, message):
    assert mistake_of('test.py', *arguments) == f'test.py: error: {message}'
