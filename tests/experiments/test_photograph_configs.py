import argparse
import json
from pathlib import Path

import pytest

from mmp2seg.apis.arguments import CommandError
from mmp2seg.experiments.photograph_configs import (
    on_photographs,
    open_held_out,
    open_photographs,
    segmentor_on_photographs,
)
from mmp2seg.experiments.stage1_configs import load_configs, match_of

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@pytest.fixture
def args(tmp_path):
    """A json of two classes, without images."""
    content = dict(
        images=[],
        categories=[dict(id=7, name='dog'), dict(id=3, name='cat')],
        annotations=[],
    )
    (tmp_path / 'truth.json').write_text(json.dumps(content))
    return argparse.Namespace(
        photographs=[str(tmp_path / 'truth.json'), str(tmp_path)],
        maps='degraded',
        long_side=64,
        min_area=5,
        strength=1.0,
        segmenter=None,
        device='cpu',
        work_dir=tmp_path / 'work',
    )


def open_(args, **changes):
    return open_photographs(argparse.Namespace(**{**vars(args), **changes}), tools=Path('tools'))


def test_classes_and_frame_come_from_the_command(args):
    photographs, classes = open_(args)
    assert classes == ['cat', 'dog'] and photographs.num_classes == 2
    assert (photographs.long_side, photographs.min_area, photographs.strength) == (64, 5, 1.0)
    assert photographs.root == args.work_dir / 'photographs'


def test_all_that_the_data_depend_on_is_in_the_key(args, tmp_path):
    keys = [open_(args, **changes)[0].key for changes in ({}, {'min_area': 6}, {'strength': 0.5})]
    (tmp_path / 's.py').write_text("model = dict(type='a')")
    keys.append(open_(args, segmenter=tmp_path / 's.py')[0].key)
    (tmp_path / 's.py').write_text("model = dict(type='b')")
    keys.append(open_(args, segmenter=tmp_path / 's.py')[0].key)
    truth = tmp_path / 'truth.json'
    truth.write_text(truth.read_text().replace('dog', 'cow'))
    keys.append(open_(args)[0].key)
    assert len(set(keys)) == 6
    assert open_(args)[0].key == keys[-1]


def test_mistakes(args, tmp_path):
    truth = args.photographs[0]
    with pytest.raises(CommandError, match='--photographs: .*gone: there is no such folder'):
        open_(args, photographs=[truth, str(tmp_path / 'gone')])
    with pytest.raises(CommandError, match=r'--photographs: .*gone\.json'):
        open_(args, photographs=[str(tmp_path / 'gone.json'), str(tmp_path)])
    with pytest.raises(CommandError, match=r'config not found: .*gone\.py'):
        open_(args, segmenter=tmp_path / 'gone.py')


def test_the_data_of_a_config_are_replaced():
    configs = load_configs([CONFIGS / 'p2seg' / 'efficientnet-lite0_own_data.py'])
    (cfg,) = on_photographs(configs, ['a', 'b', 'c'], data='degraded-k').values()
    assert cfg.model.semantic_head.num_classes == 3
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        assert loader.dataset.metainfo == dict(classes=('a', 'b', 'c'))
        assert loader.dataset.ann_file == 'points.json' and loader.dataset.data_root == 'degraded-k'
        assert loader.dataset.data_prefix == dict(img='images', seg_map='WSSS_maps')
    assert match_of(cfg) == 'point_id'
    assert 'ann_file' not in cfg.test_evaluator
    (before,) = configs.values()
    assert before.model.semantic_head.num_classes == 2


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ('p2seg/hrnet48_voc.py', '--photographs: hrnet48_voc: expected train_dataloader'),
        ('refine/mask-rcnn_tiny_shapes.py', 'expected a config of stage 1'),
    ],
)
def test_configs_that_cannot_read_the_data(config, message):
    with pytest.raises(CommandError, match=message):
        on_photographs(load_configs([CONFIGS / config]), ['a'], data='d')


def test_held_out_photographs(args, tmp_path):
    arguments = argparse.Namespace(**vars(args), test_photographs=args.photographs)
    phase = open_held_out(arguments, ['cat', 'dog'], tools=Path('tools'))
    assert phase.folder.parent == args.work_dir / 'photographs'
    ((command,),) = [phase.commands()]
    assert command[2:4] == args.photographs and '--long-side' in command
    arguments.min_area = 7
    assert open_held_out(arguments, ['cat', 'dog'], tools=Path('tools')).folder != phase.folder
    with pytest.raises(CommandError, match=r"--test-photographs: expected the classes \['a'\]"):
        open_held_out(arguments, ['a'], tools=Path('tools'))
    arguments.test_photographs = [str(tmp_path / 'gone.json'), str(tmp_path)]
    with pytest.raises(CommandError, match=r'--test-photographs: .*gone\.json'):
        open_held_out(arguments, ['cat', 'dog'], tools=Path('tools'))


def test_a_segmentor_has_the_classes_of_the_photographs():
    name = 'mask-rcnn_efficientnet-lite0_own_data'
    (cfg,) = load_configs([CONFIGS / 'refine' / f'{name}.py']).values()
    changed = segmentor_on_photographs(cfg, ['a', 'b', 'c'])
    heads = changed.model.roi_head
    assert heads.bbox_head.num_classes == heads.mask_head.num_classes == 3
    for loader in (changed.train_dataloader, changed.test_dataloader):
        assert loader.dataset.metainfo.classes == ('a', 'b', 'c')
    assert cfg.model.roi_head.bbox_head.num_classes == 2
