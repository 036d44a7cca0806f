import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmp2seg.pseudo_labels.coco_json import load
from mmp2seg.registry import MODELS
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'predict.py'
CONFIG = """
default_scope = 'mmdet'
model = {model!r}
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='mmp2seg.LoadPointAnnotations'),
    dict(type='mmp2seg.PackPointInputs')]
test_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmp2seg.PointVOCDataset', ann_file='gone.txt', pipeline=pipeline,
        metainfo=dict(classes={classes!r})))
test_evaluator = dict(type='mmp2seg.PseudoMaskMetric', ann_file='truth that is not there')
"""
SEGMENTER = """
point_segmenter = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)))
"""
FILES = ('--images', 'JPEGImages', '--points', 'points.json', '--out', 'new/labels.json')


@pytest.fixture
def project(toy_project):
    """Images, maps and points, and a network whose every pixel is of class 0."""
    folder = toy_project.folder
    write_tiny_voc(folder)
    Image.new('RGB', (30, 64), 'grey').save(folder / 'JPEGImages' / 'img_3.jpg')
    Image.fromarray(np.full((64, 30), 2, np.uint8)).save(folder / 'WSSS_maps' / 'img_3.png')
    points = [(1, 1, 8.5, 8.5), (1, 1, 23.5, 8.5), (1, 1, 48.5, 1), (3, 1, 9, 60), (3, 2, 9, 60)]
    sizes = [(40, 48), (40, 48), (64, 30)]
    content = dict(
        images=[
            dict(id=k, file_name=f'img_{k}.jpg', height=height, width=width)
            for k, (height, width) in enumerate(sizes, start=1)
        ],
        categories=[dict(id=k, name=name) for k, name in enumerate(TINY_CLASSES, start=1)],
        annotations=[
            dict(id=k, image_id=image, category_id=category, point=[x, y])
            for k, (image, category, x, y) in enumerate(points, start=1)
        ],
    )
    (folder / 'points.json').write_text(json.dumps(content))
    model = tiny_p2seg_config(test_cfg=dict(use_weak_map=True, network_weight=0.0))
    toy_project.config.write_text(CONFIG.format(model=model, classes=TINY_CLASSES))
    network = MODELS.build(model)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.semantic_head.predictor.bias[1] = 3.0
    torch.save({'state_dict': network.state_dict()}, folder / 'model.pth')
    return toy_project


# Both in one process: most of the tool's time is the import of the mm packages.
TWICE = """
import runpy, sys
tool, *arguments = sys.argv[1:]
maps = ['--semantic-maps', 'WSSS_maps', '--out', 'maps.json']
for extra in (maps, ['--draw', 'pictures']):
    sys.argv = [tool, *arguments, *extra]
    runpy.run_path(tool, run_name='__main__')
"""


def test_masks_with_maps_and_of_the_network_alone(project):
    options = ('--device', 'cpu', '--work-dir', project.work_dir)
    arguments = (project.config, 'model.pth', *FILES, *options)
    process = project.run(sys.executable, '-c', TWICE, TOOL, *arguments)
    assert process.returncode == 0, process.stderr
    content = load(project.folder / 'maps.json')
    # network_weight 0: the maps alone, a bar with two points and an image that is all block
    assert [ann['area'] for ann in content['annotations']] == [96, 96, 64 * 30]
    assert [entry['point_id'] for entry in content['dropped_points']] == [3, 4]

    assert process.stdout.splitlines()[-9:] == [
        'pictures: pictures',
        'new/labels.json: 3 pseudo labels in 3 images',
        'points without a pseudo label: 2',
        '  duplicate: 0',
        '  outside_image: 1',
        '  no_region: 1',
        '  no_pixels: 0',
        'img_1.jpg: point 3 (bar, x 48.5, y 1): outside_image, the point is not inside the image',
        'img_3.jpg: point 5 (block, x 9, y 60): no_region, the semantic map has no pixels of its '
        'class around it',
    ]
    content = load(project.folder / 'new' / 'labels.json')
    # zero offsets: each pixel is nearest to its own point
    assert sum(ann['area'] for ann in content['annotations']) == 40 * 48 + 64 * 30
    assert len(list((project.folder / 'pictures').iterdir())) == 3
    assert project.work_dir.is_dir()


def test_without_maps_those_of_the_point_segmenter_are_used(project):
    with open(project.config, 'a') as file:
        file.write(SEGMENTER)
    options = ('--device', 'cpu', '--work-dir', project.work_dir)
    process = project.run(sys.executable, TOOL, project.config, 'model.pth', *FILES, *options)
    assert process.returncode == 0, process.stderr
    maps = project.work_dir / 'point_maps'
    assert f'semantic maps made from the points: {maps}' in process.stdout
    assert len(list(maps.glob('*.png'))) == 3
    # network_weight 0: the maps alone; the network would give every pixel to class 0
    content = load(project.folder / 'new' / 'labels.json')
    areas = [a['area'] for a in content['annotations'] if a['image_id'] == 1]
    assert areas and sum(areas) < 40 * 48


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['gone.py', 'model.pth', *FILES], 'config not found: gone.py'),
        (['toy.py', 'gone.pth', *FILES], 'checkpoint not found: gone.pth'),
        (['toy.py', 'model.pth', *FILES, '--out', 'a.txt'], 'expected a .json file, got a.txt'),
        (['toy.py', 'model.pth', *FILES, '--points', 'a.json'], 'a.json: there is no such file'),
        (['toy.py', 'model.pth', *FILES, '--images', 'ImageSets'], '3 of 3 images are missing'),
        (['toy.py', 'model.pth', *FILES, '--draw', 'toy.py'], '--draw: expected a folder'),
        (
            ['toy.py', 'model.pth', *FILES, '--cfg-options', 'model.semantic_head.num_classes=3'],
            'expected 3 classes, as the model has',
        ),
    ],
)
def test_mistakes_end_with_one_line(project, mistake_of, arguments, message):
    error = mistake_of('predict.py', *arguments)
    assert error.startswith('predict.py: error: ') and message in error
    assert '\n' not in error
    assert not (project.folder / 'new' / 'labels.json').exists()
