import logging
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger

from mmp2seg.apis import runner as apis
from mmp2seg.apis.arguments import CommandError


class FakeRunner:
    logger = logging.getLogger('fake')


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / 'tiny.py'
    path.write_text('model = dict(type="A", width=4)\n')
    return str(path)


def test_load_config(config_file):
    cfg = apis.load_config(config_file, cfg_options={'model.width': 8}, launcher='pytorch')
    assert cfg.model == dict(type='A', width=8)
    assert cfg.launcher == 'pytorch'
    assert Path(cfg.work_dir) == Path('work_dirs/tiny')


def test_work_dir_of_the_command_line_beats_the_configs(config_file):
    options = {'work_dir': 'of_config'}
    assert apis.load_config(config_file, cfg_options=options).work_dir == 'of_config'
    cfg = apis.load_config(config_file, cfg_options=options, work_dir='of_command')
    assert cfg.work_dir == 'of_command'


@pytest.mark.parametrize('path', ['nowhere.py', 'mmdet::nowhere.py', '.'])
def test_load_config_that_does_not_exist(path):
    with pytest.raises(CommandError, match=f'config not found: {path}'):
        apis.load_config(path)


def test_require_checkpoint(config_file):
    assert apis.require_checkpoint(config_file) == config_file
    assert apis.require_checkpoint('https://host/x.pth') == 'https://host/x.pth'
    with pytest.raises(CommandError, match=r'checkpoint not found: gone\.pth'):
        apis.require_checkpoint('gone.pth')


def test_enable_amp():
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD'))))
    apis.enable_amp(cfg)
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')
    cfg.optim_wrapper.loss_scale = 64.0
    apis.enable_amp(cfg)
    assert cfg.optim_wrapper.loss_scale == 64.0


def test_enable_amp_refuses_what_it_cannot_change():
    with pytest.raises(CommandError, match='no optim_wrapper'):
        apis.enable_amp(Config(dict()))
    with pytest.raises(CommandError, match='DeepSpeedOptimWrapper'):
        apis.enable_amp(Config(dict(optim_wrapper=dict(type='DeepSpeedOptimWrapper'))))


def test_enable_auto_scale_lr():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=8, enable=False)))
    apis.enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable is True
    with pytest.raises(CommandError, match='auto_scale_lr.base_batch_size'):
        apis.enable_auto_scale_lr(Config(dict()))


def test_resume_from_a_path(config_file):
    cfg = Config(dict(load_from='pretrained.pth', resume=False))
    apis.set_resume(cfg, config_file)
    assert (cfg.resume, cfg.load_from) == (True, config_file)
    with pytest.raises(CommandError, match=r'checkpoint not found: gone\.pth'):
        apis.set_resume(cfg, 'gone.pth')


@pytest.fixture
def work_dir(tmp_path):
    """A folder with three checkpoints, the last of them cut off."""
    folder = tmp_path / 'work'
    folder.mkdir()
    for number in (9, 10, 11):
        torch.save(dict(state_dict={}), folder / f'iter_{number}.pth')
    cut = folder / 'iter_11.pth'
    cut.write_bytes(cut.read_bytes()[:-100])
    return folder


@pytest.mark.parametrize(
    ('last', 'name'),
    [
        ('{folder}/iter_9.pth', 'iter_9.pth'),
        ('/of/another/machine/iter_9.pth', 'iter_9.pth'),  # the folder has moved
        ('{folder}/iter_11.pth', 'iter_10.pth'),  # incomplete
        ('{folder}/iter_12.pth', 'iter_10.pth'),  # gone
        ('', 'iter_10.pth'),  # the process was killed while it wrote
        (None, 'iter_10.pth'),
    ],
)
def test_resume_auto_takes_the_latest_that_is_complete(work_dir, last, name):
    if last is not None:
        (work_dir / 'last_checkpoint').write_text(last.format(folder=work_dir))
    cfg = Config(dict(work_dir=str(work_dir), load_from='pretrained.pth'))
    assert apis.set_resume(cfg, 'auto') is None
    assert (cfg.resume, cfg.load_from) == (True, str(work_dir / name))


def test_resume_auto_prefers_the_copy_in_the_work_dir(work_dir, tmp_path):
    copy = shutil.copytree(work_dir, tmp_path / 'copy')
    (copy / 'last_checkpoint').write_text(str(work_dir / 'iter_9.pth'))
    assert apis.latest_checkpoint(str(copy)) == str(copy / 'iter_9.pth')
    (copy / 'iter_9.pth').unlink()  # checkpoints can be in another folder than the logs
    assert apis.latest_checkpoint(str(copy)) == str(work_dir / 'iter_9.pth')


def test_resume_auto_without_a_checkpoint(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))
    note = f'--resume: no checkpoint in {tmp_path}: the training starts anew'
    assert apis.set_resume(cfg, 'auto') == note
    assert cfg.load_from == 'pretrained.pth'
    assert not cfg.get('resume')
    (tmp_path / 'last_checkpoint').write_text('gone.pth')
    with pytest.raises(CommandError, match=r'checkpoint not found, or incomplete: gone\.pth'):
        apis.set_resume(cfg, 'auto')


@pytest.mark.parametrize(
    ('hooks', 'custom', 'kinds'),
    [
        (None, [], ['mmp2seg.AtomicCheckpointHook']),
        (dict(checkpoint=dict(type='CheckpointHook')), [], ['mmp2seg.AtomicCheckpointHook']),
        (dict(checkpoint=None), [], [None]),
        (dict(checkpoint=dict(type='Mine')), [], ['Mine']),
        (
            dict(checkpoint=dict(type=CheckpointHook)),
            [dict(type='mmengine.CheckpointHook'), dict(type='EMAHook')],
            ['mmp2seg.AtomicCheckpointHook'] * 2 + ['EMAHook'],
        ),
    ],
)
def test_set_atomic_checkpoints(hooks, custom, kinds):
    cfg = Config(dict(default_hooks=hooks, custom_hooks=custom))
    apis.set_atomic_checkpoints(cfg)
    found = [cfg.default_hooks.checkpoint, *cfg.custom_hooks]
    assert [hook and hook['type'] for hook in found] == kinds


def test_the_log_file_has_the_traceback(tmp_path, monkeypatch):
    logger = MMLogger('failing', logger_name='failing', log_file=str(tmp_path / '1.log'))
    monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: logger)

    def build(cfg):
        return {}['oops']

    monkeypatch.setattr(apis, 'build_runner', build)
    for run in (apis.run_training, apis.run_test):
        before = (tmp_path / '1.log').read_text()
        with pytest.raises(KeyError) as info:
            run(Config(dict(work_dir=str(tmp_path))))
        assert info.value.log_file == str(tmp_path / '1.log')
        text = (tmp_path / '1.log').read_text().removeprefix(before)
        assert 'Traceback (most recent call last)' in text and "KeyError: 'oops'" in text


def test_a_work_dir_that_cannot_be_written_stops_before_the_work(tmp_path, monkeypatch):
    (tmp_path / 'file').touch()
    monkeypatch.setattr(apis, 'build_runner', pytest.fail)
    for run in (apis.run_training, apis.run_test):
        with pytest.raises(NotADirectoryError):
            run(Config(dict(work_dir=str(tmp_path / 'file' / 'work'))))


@pytest.mark.parametrize('evaluator', [dict(type='A'), [dict(type='A')]])
def test_dump_predictions_is_one_more_metric(evaluator):
    cfg = Config(dict(test_evaluator=evaluator))
    apis.dump_predictions(cfg, 'out.pkl')
    assert cfg.test_evaluator == [
        dict(type='A'),
        dict(type='mmdet.DumpDetResults', out_file_path='out.pkl'),
    ]


def test_dump_predictions_refuses():
    with pytest.raises(CommandError, match=r'expected a \.pkl or \.pickle file, got out\.json'):
        apis.dump_predictions(Config(dict(test_evaluator=dict(type='A'))), 'out.json')
    with pytest.raises(CommandError, match='no test_evaluator'):
        apis.dump_predictions(Config(dict()), 'out.pkl')


def test_draw_predictions():
    cfg = Config(dict(default_hooks=dict(visualization=dict(type='V', draw=False))))
    apis.draw_predictions(cfg, show_dir='pictures')
    assert cfg.default_hooks.visualization == dict(type='V', draw=True, test_out_dir='pictures')
    apis.draw_predictions(cfg, show=True, wait_time=0.5)
    assert cfg.default_hooks.visualization.show is True
    assert cfg.default_hooks.visualization.wait_time == 0.5
    with pytest.raises(CommandError, match='default_hooks.visualization'):
        apis.draw_predictions(Config(dict()), show=True)


def test_images_are_loaded_by_name():
    names = ('LoadImageFromFile', 'mmcv.LoadImageFromFile', 'own.LoadImageFromFile', 'Resize')
    choice = dict(type='RandomChoice', transforms=[[dict(type=name)] for name in names])
    cfg = Config(dict(pipeline=[dict(type='mmdet.LoadImageFromFile', to_float32=True), choice]))
    apis.load_images_by_name(list(cfg.values()))
    first, second = cfg.pipeline
    assert first == dict(type='mmp2seg.LoadImageFromFile', to_float32=True)
    loaded = [step.type for (step,) in second.transforms]
    assert loaded == ['mmp2seg.LoadImageFromFile'] * 2 + ['own.LoadImageFromFile', 'Resize']


def test_a_loaded_config_has_our_image_loader(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text("pipeline = [dict(type='LoadImageFromFile')]\n")
    assert apis.load_config(str(path)).pipeline == [dict(type='mmp2seg.LoadImageFromFile')]


@pytest.mark.parametrize(('run', 'loader'), [(apis.run_training, 'train'), (apis.run_test, 'test')])
def test_data_files_are_checked_before_the_runner_is_built(tmp_path, monkeypatch, run, loader):
    (tmp_path / 'l.json').write_text('{"images": 3, "categories": []}')
    monkeypatch.setattr(apis, 'build_runner', pytest.fail)
    dataset = dict(type='mmdet.CocoDataset', ann_file=str(tmp_path / 'l.json'))
    cfg = Config({'work_dir': str(tmp_path), f'{loader}_dataloader': dict(dataset=dataset)})
    with pytest.raises(ValueError, match=r'l\.json: expected .*images'):
        run(cfg)


def test_a_runner_saves_checkpoints_atomically(tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(apis.Runner, 'from_cfg', lambda cfg: built.append(cfg) or FakeRunner)
    apis.build_runner(Config(dict(work_dir=str(tmp_path))))
    (cfg,) = built
    assert cfg.default_hooks.checkpoint.type == 'mmp2seg.AtomicCheckpointHook'


def test_classes_of_a_config_are_a_list(tmp_path):
    path = tmp_path / 'own.py'
    path.write_text("train_dataloader = dict(dataset=dict(metainfo=dict(classes=('cell'))))\n")
    with pytest.raises(CommandError, match=r"own\.py: metainfo: .* got the str 'cell'"):
        apis.load_config(str(path))


def test_tta_takes_the_models_settings_along():
    pipeline = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug')]
    cfg = Config(
        dict(
            model=dict(type='P2Seg', test_cfg=dict(rounds=1)),
            test_dataloader=dict(dataset=dict(type='Repeat', dataset=dict(pipeline=[]))),
            tta_model=dict(type='mmp2seg.P2SegTTA'),
            tta_pipeline=pipeline,
        )
    )
    apis.enable_tta(cfg)
    assert cfg.model.type == 'mmp2seg.P2SegTTA'
    assert cfg.model.module == dict(type='P2Seg', test_cfg=dict(rounds=1))
    assert cfg.test_dataloader.dataset.dataset.pipeline == pipeline


@pytest.mark.parametrize('missing', ['tta_model', 'tta_pipeline', 'test_dataloader'])
def test_tta_needs_its_settings(missing):
    settings = dict(tta_model={}, tta_pipeline=[], test_dataloader=dict(dataset={}))
    cfg = Config({key: value for key, value in settings.items() if key != missing})
    with pytest.raises(CommandError, match=f'--tta: the config has no {missing}'):
        apis.enable_tta(cfg)


class MySampler:
    pass


def loader(sampler, dataset=None, **options):
    dataset = dataset or dict(type='A', pipeline=[dict(type='Load')])
    return Config(dict(train_dataloader=dict(sampler=sampler, dataset=dataset, **options)))


@pytest.mark.parametrize(
    ('sampler', 'seeded'),
    [
        ('InfiniteSampler', 'mmp2seg.SeededInfiniteSampler'),
        ('mmengine.DefaultSampler', 'mmp2seg.SeededSampler'),
        (DefaultSampler, 'mmp2seg.SeededSampler'),
    ],
)
def test_make_reproducible(sampler, seeded):
    cfg = loader(dict(type=sampler, shuffle=True))
    cfg.custom_hooks = [dict(type='EMAHook')]
    apis.make_reproducible(cfg)
    assert cfg.train_dataloader.sampler == dict(type=seeded, shuffle=True)
    kinds = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert kinds == ['mmp2seg.SeedSample', 'Load']
    assert [hook.type for hook in cfg.custom_hooks] == ['EMAHook', 'mmp2seg.IterationSeedHook']


def test_make_reproducible_of_wrapped_datasets():
    inner = dict(type='A', pipeline=[dict(type='Load')])
    both = dict(type='ConcatDataset', datasets=[inner, dict(type='Toy')])
    cfg = loader(dict(type='InfiniteSampler'), dict(type='RepeatDataset', dataset=both))
    apis.make_reproducible(cfg)
    first, second = cfg.train_dataloader.dataset.dataset.datasets
    assert first.pipeline[0].type == 'mmp2seg.SeedSample' and 'pipeline' not in second


@pytest.mark.parametrize('sampler', ['MySampler', MySampler])
def test_other_samplers_stay(sampler):
    cfg = loader(dict(type=sampler))
    before = cfg.to_dict()
    apis.make_reproducible(cfg)
    assert cfg.to_dict() == before
    apis.make_reproducible(Config(dict(model=dict())))


def test_workers_die_with_the_training():
    cfg = loader(dict(type='DefaultSampler'), num_workers=2)
    cfg.val_dataloader = dict(num_workers=2, worker_init_fn=dict(type='mine'))
    cfg.test_dataloader = dict(num_workers=0)
    apis.init_workers(cfg)
    found = [cfg[f'{name}_dataloader'].get('worker_init_fn') for name in ('train', 'val', 'test')]
    assert found == [dict(type='mmp2seg.init_worker'), dict(type='mine'), None]
    cfg = loader(dict(type='DefaultSampler'), num_workers=2, disable_subprocess_warning=True)
    apis.init_workers(cfg)
    assert 'worker_init_fn' not in cfg.train_dataloader  # mmengine's function takes the option


def test_label_files_are_checked_before_the_runner_is_built(tmp_path):
    (tmp_path / 'l.json').write_text('{"categories": [{"id": 1, "name": "Cell"}]}')
    data = dict(
        type='CocoDataset', ann_file=str(tmp_path / 'l.json'), metainfo=dict(classes=('cell',))
    )
    cfg = Config(dict(train_dataloader=dict(dataset=data)))
    with pytest.raises(CommandError, match=r"the file has \['Cell'\], the config \['cell'\]"):
        apis.build_runner(cfg)
