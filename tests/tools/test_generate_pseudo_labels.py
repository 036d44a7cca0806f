import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.registry import MODELS
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc

ROOT = Path(__file__).resolve().parents[2]

CONFIG = """
default_scope = 'mmdet'
model = {model!r}
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations', with_seg=False, allow_outside=True),
    dict(type='mmp2seg.PackPointInputs')]
test_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmp2seg.PointVOCDataset', pipeline=pipeline, **{data!r}))
test_evaluator = dict(type='mmp2seg.PseudoMaskMetric', ann_file='truth that is not there')
"""


@pytest.fixture
def project(toy_project):
    """Config and checkpoint of a network whose every pixel is of class 0."""
    folder = toy_project.folder
    (folder / 'data').mkdir()
    data = write_tiny_voc(folder / 'data')
    points = folder / 'data' / 'Center_points' / 'img_2.txt'
    points.write_text('8 8 0\n8 8 0\n99 8 0\n30 30 0\n')
    model = tiny_p2seg_config()
    toy_project.config.write_text(CONFIG.format(model=model, data=data))
    network = MODELS.build(model)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.semantic_head.predictor.bias[1] = 3.0
    torch.save({'state_dict': network.state_dict()}, folder / 'model.pth')
    return toy_project


def test_every_point_is_in_the_file_and_mmdet_reads_every_mask(project):
    out = project.folder / 'new' / 'labels.json'
    process = project.tool(
        'generate_pseudo_labels.py', project.config, 'model.pth', '--out', out, '--device', 'cpu'
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-6:] == [
        f'{out}: 4 pseudo labels in 3 images',
        'points without a pseudo label: 3',
        '  duplicate: 1',
        '  outside_image: 1',
        '  no_region: 1',
        '  no_pixels: 0',
    ]
    content = load(out)
    # zero offsets: each pixel is nearest to its own point
    assert sum(ann['area'] for ann in content['annotations']) == 2 * 40 * 48
    assert project.work_dir.is_dir()
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    ]
    dataset = CocoDataset(
        ann_file=str(out),
        data_prefix=dict(img=str(project.folder / 'data' / 'JPEGImages')),
        metainfo=dict(classes=TINY_CLASSES),
        pipeline=pipeline,
    )
    images = [dataset[index] for index in range(len(dataset))]
    assert [len(image['gt_masks']) for image in images] == [2, 2, 0]
    assert not any(image['gt_ignore_flags'].any() for image in images)


def test_test_time_augmentation_with_another_grouping(project):
    """The copies are a plain and a flipped one, which say the same of this network."""
    project.config.write_text(
        project.config.read_text()
        + "tta_model = dict(type='mmp2seg.P2SegTTA')\n"
        + "flips = [dict(type='mmdet.RandomFlip', prob=prob) for prob in (0.0, 1.0)]\n"
        + "copies = dict(type='TestTimeAug', transforms=[flips, [pipeline[-1]]])\n"
        + 'tta_pipeline = [*pipeline[:2], copies]\n'
    )
    areas = {}
    for name, options in (('plain', []), ('tta', ['--tta'])):
        out = project.folder / f'{name}.json'
        process = project.tool(
            'generate_pseudo_labels.py',
            *(project.config, 'model.pth', '--out', out, '--device', 'cpu'),
            *('--grouping', 'region', *options),
        )
        assert process.returncode == 0, process.stderr
        areas[name] = [ann['area'] for ann in load(out)['annotations']]
    assert areas['tta'] == areas['plain'] == [40 * 48] * len(areas['tta'])
    # without the option, the pipeline of the test is in force
    project.config.write_text(project.config.read_text().replace('TestTimeAug', 'NoSuchStep'))
    process = project.tool(
        'generate_pseudo_labels.py',
        *(project.config, 'model.pth', '--out', out, '--device', 'cpu', '--tta'),
    )
    assert process.returncode != 0 and 'NoSuchStep' in process.stderr


def test_points_that_the_network_does_not_see_get_their_start(project):
    """The network sees class 0 everywhere: the points of other classes have masks of the start."""
    start, out = project.folder / 'start.json', project.folder / 'labels.json'
    tool = ('generate_pseudo_labels.py', project.config, 'model.pth', '--device', 'cpu')
    assert project.tool(*tool, '--out', start).returncode == 0
    content = load(start)
    assert all(ann['click_score'] > 0.5 for ann in content['annotations'])
    lost = next(point for point in content['dropped_points'] if point['reason'] == 'no_region')
    content['dropped_points'].remove(lost)
    size = content['annotations'][0]['segmentation']['size']
    mask = np.zeros(size, bool)
    mask[0, 0] = True
    content['annotations'].append(
        {
            **content['annotations'][0],
            **{key: value for key, value in lost.items() if key != 'reason'},
            'id': 99,
            'segmentation': encode_rle(mask),
            'bbox': [0.0, 0.0, 1.0, 1.0],
            'area': 1,
        }
    )
    write_json(start, content)
    process = project.tool(*tool, '--out', out, '--start', start, '--min-click-score', '1.1')
    assert process.returncode == 0, process.stderr
    assert process.stdout.splitlines()[-2] == (
        f'5 of 7 points, which the network does not see, have their masks of {start}'
    )
    assert 'train longer' in process.stdout.splitlines()[-1]
    assert len(load(out)['annotations']) == 5


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['gone.py', 'toy.py', '--out', 'a.json'], 'config not found: gone.py'),
        (['toy.py', 'gone.pth', '--out', 'a.json'], 'checkpoint not found: gone.pth'),
        (['toy.py', 'toy.py', '--out', 'a.txt'], '--out: expected a .json file, got a.txt'),
        (['toy.py', 'toy.py', '--out', 'a.json', '--split', 'train'], 'no train_dataloader'),
        (['toy.py', 'toy.py', '--out', 'a.json', '--start', 'gone.json'], '--start: '),
    ],
)
def test_mistakes_end_with_one_line(project, mistake_of, arguments, message):
    error = mistake_of('generate_pseudo_labels.py', *arguments)
    assert error.startswith('generate_pseudo_labels.py: error: ') and message in error
    assert '\n' not in error


def test_missing_data_end_with_one_line(project):
    (project.folder / 'data' / 'ImageSets' / 'train.txt').unlink()
    tool = ('generate_pseudo_labels.py', project.config, 'model.pth', '--out', 'a.json')
    process = project.tool(*tool)
    assert process.returncode == 1
    assert process.stderr.splitlines()[-1].startswith('generate_pseudo_labels.py: error: ')
    assert 'train.txt' in process.stderr.splitlines()[-1]
    assert 'Traceback' not in process.stderr


def test_baseline_tool(project):
    tool = ROOT / 'tools' / 'analysis_tools' / 'baseline_pseudo_labels.py'
    options = ['--rule', 'nearest', '--split', 'test', '--out', 'labels.json']
    process = project.run(sys.executable, tool, project.config, *options)
    assert process.returncode == 0, process.stderr
    assert 'labels.json: ' in process.stdout
    assert json.loads((project.folder / 'labels.json').read_text())['annotations']
