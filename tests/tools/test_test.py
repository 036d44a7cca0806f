import pickle
import re
from pathlib import Path

import cv2
import pytest
import torch

from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config, write_tiny_voc

RUNTIME = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'default_runtime.py'
STAGE1_CONFIG = """
_base_ = {runtime!r}
model = {model!r}
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations', with_seg=True),
    dict(type='mmp2seg.PackPointInputs')]
test_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmp2seg.PointVOCDataset', pipeline=pipeline, test_mode=True, **{data!r}))
test_evaluator = dict(type='mmp2seg.PseudoLabelWriter', outfile='labels.json')
test_cfg = dict()
"""


@pytest.fixture
def checkpoint(toy_project):
    process = toy_project.tool('train.py', toy_project.config, '--cfg-options', 'randomness.seed=1')
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


def test_show_dir_draws_the_panels_of_stage_1(toy_project):
    folder = toy_project.folder
    model = tiny_p2seg_config()
    data = write_tiny_voc(folder)
    toy_project.config.write_text(
        STAGE1_CONFIG.format(runtime=str(RUNTIME), model=model, data=data)
    )
    torch.save({'state_dict': MODELS.build(model).state_dict()}, folder / 'model.pth')
    done = toy_project.tool('test.py', toy_project.config, 'model.pth', '--show-dir', 'pictures')
    assert done.returncode == 0, done.stderr
    pictures = sorted(toy_project.work_dir.glob('*/pictures/**/*.png'))
    assert [path.name for path in pictures] == [f'img_{k}.jpg.png' for k in (1, 2, 3)]
    # points, weak map and predicted map; offsets and instances: two rows
    assert cv2.imread(str(pictures[0])).shape[0] > 640


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


@pytest.mark.parametrize('state', [{}, {'a': 1}, {'conv.weight': torch.zeros(9, 2, 1, 1)}])
def test_a_checkpoint_of_another_network_ends_with_one_line(toy_project, state):
    torch.save(dict(state_dict=state), toy_project.folder / 'other.pth')
    process = toy_project.tool('test.py', toy_project.config, 'other.pth')
    assert process.returncode == 1
    (line,) = [line for line in process.stderr.splitlines() if 'error' in line]
    assert line.startswith('test.py: error: other.pth: expected the weights of this config, ')
    assert 'Traceback' not in process.stderr
