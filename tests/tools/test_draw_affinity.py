import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

from mmp2seg.registry import MODELS
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc

from .tool_runs import run_tool

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'draw_affinity.py'


@pytest.fixture
def project(tmp_path):
    """A config of a tiny network on three images, its checkpoint, and the truth of the first."""
    voc = write_tiny_voc(tmp_path)
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmp2seg.LoadPointAnnotations', with_seg=True, allow_outside=True),
        dict(type='mmp2seg.PackPointInputs'),
    ]
    data = dict(type='mmp2seg.PointVOCDataset', **voc)
    broken = dict(data, pipeline=[dict(type='NoSuchTransform')])
    model = tiny_p2seg_config()
    lines = [
        "default_scope = 'mmdet'",
        f'test_dataloader = dict(dataset={dict(data, pipeline=pipeline)!r})',
        f'train_dataloader = dict(dataset={broken!r})',
        f'model = {model!r}',
    ]
    (tmp_path / 'config.py').write_text('\n'.join(lines))
    torch.manual_seed(0)
    weights = MODELS.build(model).state_dict()
    torch.save({'state_dict': weights}, tmp_path / 'model.pth')
    without = {key: value for key, value in weights.items() if 'affinity' not in key}
    torch.save({'state_dict': without}, tmp_path / 's2i.pth')
    boxes = [(1, [4, 4, 16, 12]), (1, [16, 4, 28, 12]), (2, [10, 20, 20, 30])]
    annotations = [
        dict(id=i, image_id=1, category_id=c, segmentation=[[x, y, u, y, u, v, x, v]])
        for i, (c, (x, y, u, v)) in enumerate(boxes)
    ]
    truth = dict(
        images=[dict(id=i, file_name=f'img_{i}.jpg', height=40, width=48) for i in (1, 2, 3)],
        categories=[dict(id=i, name=name) for i, name in enumerate(TINY_CLASSES, start=1)],
        annotations=annotations,
    )
    (tmp_path / 'truth.json').write_text(json.dumps(truth))
    return tmp_path


ARGUMENTS = ['out', '--device', 'cpu']


@pytest.fixture
def run(project, monkeypatch, capsys):
    """Run the tool in the project's folder; return exit status or message, and the output."""

    def call(*options, checkpoint='model.pth'):
        monkeypatch.chdir(project)
        try:
            run_tool('draw_affinity', 'config.py', checkpoint, *ARGUMENTS, *options)
        except SystemExit as end:
            return end.code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return call


def test_command(project):
    done = subprocess.run(
        [sys.executable, TOOL, 'config.py', 'model.pth', *ARGUMENTS, '--num', '1'],
        cwd=project,
        env={key: value for key, value in os.environ.items() if key != 'PYTHONPATH'},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (project / 'out').iterdir()] == ['img_1.jpg.png']
    assert 'mean of 1 images: own instance ' in done.stdout


def test_pictures_and_figures_with_truth(project, run):
    # the training pipeline does not exist: the tool uses that of the test set
    code, output = run('--split', 'train', '--truth', 'truth.json')
    assert code == 0
    names = ['img_1.jpg.png', 'img_2.jpg.png', 'img_3.jpg.png']
    assert sorted(path.name for path in (project / 'out').iterdir()) == names
    first = cv2.imread(str(project / 'out' / 'img_1.jpg.png'))
    assert first.shape[0] > 640  # two rows
    assert first.shape[1] > 5 * 380  # the lower one of five panels
    lines = [line for line in output.splitlines() if 'own instance' in line]
    assert lines[0].startswith('out/img_1.jpg.png: 3 of 3 points: own instance 0.')
    assert '-' not in lines[0].split('points')[1]  # all relations are there
    assert lines[2].endswith(
        'img_3.jpg.png: 0 of 0 points: own instance -, same class -, other classes -, background -'
    )
    # images 2 and 3 have no true objects: the means are those of the first image
    assert lines[3] == 'mean of 3 images: ' + lines[0].split('points: ')[1]


def test_points_only_needs_neither_truth_nor_weak_maps(project, run):
    (project / 'WSSS_maps').rename(project / 'elsewhere')
    assert run('--num', '1', '--points-only')[0] == 0
    picture = cv2.imread(str(project / 'out' / 'img_1.jpg.png'))
    assert 320 < picture.shape[0] < 400  # one row
    assert picture.shape[1] > 4 * 380  # the image and three heat maps
    assert [path.name for path in (project / 'out').iterdir()] == ['img_1.jpg.png']


@pytest.mark.parametrize(
    ('checkpoint', 'options', 'message'),
    [
        ('s2i.pth', ['--cfg-options', 'model.affinity_head=None'], 'no affinity_head'),
        ('s2i.pth', [], 'affinity_head.conv.weight'),  # never random weights
        ('model.pth', ['--truth', 'none.json'], 'none.json'),
        ('nothing.pth', [], 'checkpoint not found: nothing.pth'),
    ],
)
def test_mistakes(project, run, checkpoint, options, message):
    error, _ = run(*options, checkpoint=checkpoint)
    assert error.startswith('draw_affinity.py: error: ') and message in error
    assert not (project / 'out').exists()


def test_missing_weak_maps_are_named(project, run):
    (project / 'WSSS_maps').rename(project / 'elsewhere')
    error, _ = run()
    assert error.startswith('draw_affinity.py: error: ') and 'img_1.png' in error


def test_images_of_the_same_stem_get_different_pictures(project, run):
    for name in ('JPEGImages/{}.jpg', 'WSSS_maps/{}.png', 'Center_points/{}.txt'):
        for folder, stem in (('a', 'img_1'), ('b', 'img_2')):
            path = project / name.format(stem)
            target = path.parent / folder / f'1{path.suffix}'
            target.parent.mkdir()
            path.rename(target)
    (project / 'ImageSets' / 'train.txt').write_text('a/1\nb/1\n')
    assert run()[0] == 0
    pictures = (project / 'out').rglob('*.png')
    assert sorted(str(path.relative_to(project / 'out')) for path in pictures) == [
        'a/1.jpg.png',
        'b/1.jpg.png',
    ]
