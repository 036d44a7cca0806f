import dataclasses
import shlex

import pytest
from mmengine.config import Config

from mmp2seg.apis.own_data.settings import DataFigures, stage1_settings, stage2_settings
from mmp2seg.apis.own_data.texts import OwnData, next_commands, stage1_text, stage2_text

DATA = OwnData(
    summary='3 images, 7 points', classes=("cat's", 'dog'), images='../photos', maps='maps'
)
SMALL = DataFigures(num_images=18, long_side=800, spacing=120)
LARGE_AND_NEAR = DataFigures(num_images=1000, long_side=800, spacing=30)
PROGRAM = {name: ['mmp2seg', name] for name in ('masks', 'train', 'pseudo-labels', 'report')}


def load(folder, text):
    path = folder / 'config.py'
    path.write_text(text)
    return Config.fromfile(path)


def stages(figures, **options):
    options = {'device': 'cpu', **options}
    return stage1_settings(figures, **options), stage2_settings(figures, **options)


@pytest.mark.parametrize('options', [{}, dict(device='cuda'), dict(from_scratch=True)])
def test_small_sets_keep_the_base_but_for_the_data(tmp_path, options):
    one, two = stages(SMALL, **options)
    for settings, text in ((one, stage1_text(DATA, one)), (two, stage2_text(DATA, two))):
        assert len(text.splitlines()) < 45 and max(map(len, text.splitlines())) <= 100
        assert f'# {DATA.summary}' in text and f'# {settings.base_reason}' in text
        cfg = load(tmp_path, text)
        base = load(tmp_path, f"_base_ = __import__('mmp2seg').resolve_config('{settings.base}')")
        for key in ('param_scheduler', 'optim_wrapper', 'train_cfg'):
            assert cfg[key] == base[key]
        pipelines = [
            loader.dataset.pipeline for loader in (cfg.train_dataloader, cfg.test_dataloader)
        ]
        assert pipelines == [
            base.train_dataloader.dataset.pipeline, base.test_dataloader.dataset.pipeline
        ]  # fmt: skip
        assert cfg.model.get('distiller') == base.model.get('distiller')


def test_stage1_names_the_files(tmp_path):
    cfg = load(tmp_path, stage1_text(DATA, stages(SMALL)[0]))
    folder = f'{tmp_path}/'
    assert cfg.work_dir == f'{folder}stage1'
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        dataset = loader.dataset
        assert (dataset.data_root, dataset.ann_file) == (folder, 'points.json')
        assert dataset.data_prefix == dict(img='../photos', seg_map='maps')
        assert dataset.metainfo.classes == DATA.classes
    assert cfg.test_evaluator.ann_file == f'{folder}points.json'
    assert cfg.test_evaluator.outfile == f'{folder}pseudo_labels.json'
    assert cfg.model.semantic_head.num_classes == 2


def test_stage2_names_the_files_and_has_no_validation(tmp_path):
    cfg = load(tmp_path, stage2_text(DATA, stages(SMALL)[1]))
    folder = f'{tmp_path}/'
    assert cfg.work_dir == f'{folder}stage2'
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        assert loader.dataset.ann_file == f'{folder}pseudo_labels.json'
        assert loader.dataset.data_prefix.img == f'{folder}../photos/'
        assert loader.dataset.metainfo.classes == DATA.classes
    assert cfg.val_dataloader is cfg.val_evaluator is cfg.val_cfg is None
    assert cfg.test_evaluator.ann_file == f'{folder}pseudo_labels.json'
    heads = cfg.model.roi_head
    assert heads.bbox_head.num_classes == heads.mask_head.num_classes == 2
    absolute = dataclasses.replace(DATA, images='/photos')
    cfg = load(tmp_path, stage2_text(absolute, stages(SMALL)[1]))
    assert cfg.train_dataloader.dataset.data_prefix.img == '/photos/'


def test_true_masks_evaluate_stage2(tmp_path):
    data = dataclasses.replace(DATA, has_truth=True)
    one = load(tmp_path, stage1_text(data, stages(SMALL)[0]))
    two = load(tmp_path, stage2_text(data, stages(SMALL)[1]))
    assert one.train_dataloader.dataset.ann_file == 'points.json'
    assert one.test_dataloader.dataset.ann_file == 'points_train.json'
    assert one.test_evaluator.ann_file == f'{tmp_path}/points_train.json'
    assert two.train_dataloader.dataset.ann_file == f'{tmp_path}/pseudo_labels.json'
    for loader in (two.val_dataloader, two.test_dataloader):
        assert loader.dataset.ann_file == f'{tmp_path}/val.json'
    assert two.val_evaluator.ann_file == two.test_evaluator.ann_file == f'{tmp_path}/val.json'
    assert two.val_cfg.type == 'ValLoop'


@pytest.mark.parametrize('options', [{}, dict(device='cuda'), dict(from_scratch=True)])
def test_larger_sets_have_a_longer_schedule_and_other_sizes(tmp_path, options):
    one, two = stages(LARGE_AND_NEAR, **options)
    for settings, text in ((one, stage1_text(DATA, one)), (two, stage2_text(DATA, two))):
        cfg = load(tmp_path, text)
        assert cfg.train_cfg.max_iters == cfg.train_cfg.val_interval == settings.max_iters
        first, last = cfg.param_scheduler
        assert (first.begin, first.end, last.end) == (0, settings.warm_up, settings.max_iters)
        if last.type == 'CosineAnnealingLR':
            assert last.begin == settings.warm_up and last.T_max == last.end - last.begin
        if last.type == 'MultiStepLR':
            assert last.milestones == [2000, 2750]
        if settings.refines:
            distiller = cfg.model.distiller
            assert distiller.propagate_begin == round(0.3 * settings.max_iters)
            assert distiller.semantic_begin == distiller.propagate_begin
        if settings.sizes is None:
            continue
        assert settings.sizes_reason.split(',')[0] in text
        steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
        assert steps['RandomChoiceResize'].scales == [(side, side) for side in settings.sizes]
        steps = {step.type: step for step in cfg.test_dataloader.dataset.pipeline}
        assert steps['Resize'].scale == (settings.test_size, settings.test_size)


@pytest.mark.parametrize('max_iters', [2, 3, 100])
def test_the_number_of_iterations_can_be_edited(tmp_path, max_iters):
    for settings, write in zip(stages(SMALL), (stage1_text, stage2_text)):
        text = write(DATA, settings)
        line = f'max_iters = {settings.max_iters}\n'
        assert text.count(line) == 1
        cfg = load(tmp_path, text.replace(line, f'max_iters = {max_iters}\n'))
        for scheduler in cfg.param_scheduler:
            assert 0 <= scheduler.begin < scheduler.end <= max_iters


def test_no_weights_are_named_from_scratch(tmp_path):
    for settings, write in zip(stages(SMALL, from_scratch=True), (stage1_text, stage2_text)):
        cfg = load(tmp_path, write(DATA, settings))
        assert not cfg.model.backbone.get('init_cfg')
        assert cfg.model.backbone.get('frozen_stages', -1) == -1


def commands(**options):
    one, two = stages(SMALL)
    text = next_commands(
        DATA, one, two, folder='my data/', images='photos', program=PROGRAM, **options
    )
    lines = text.splitlines()
    assert [line.split('.')[0] for line in lines[::2]] == [
        f'# {number}' for number in range(1, len(lines) // 2 + 1)
    ]
    return [shlex.split(line) for line in lines[1::2]]


def test_commands():
    labels = 'my data/pseudo_labels.json'
    assert commands() == [
        ['mmp2seg', 'masks', 'photos', 'my data/points.json', '--out', 'my data/start.json',
         '--maps', 'my data/maps'],
        ['mmp2seg', 'train', 'my data/stage1.py'],
        ['mmp2seg', 'pseudo-labels', 'my data/stage1.py', 'my data/stage1/iter_500.pth', '--out',
         labels, '--start', 'my data/start.json'],
        ['mmp2seg', 'train', 'my data/stage2.py'],
        ['mmp2seg', 'report', 'my data/stage1', '--labels', labels, '--images', 'photos', '--out',
         'my data/report.html'],
    ]  # fmt: skip
    head = commands(class_head=True)[0]
    assert head[-2:] == ['--config', 'point_segmenter/efficientnet-lite0_class-head.py']
    given = commands(has_maps=True, class_head=True)
    assert [command[1] for command in given] == ['train', 'pseudo-labels', 'train', 'report']
    assert '--start' not in given[1]
    for command in commands(device='cpu')[:4]:
        assert command[-2:] == ['--device', 'cpu']
