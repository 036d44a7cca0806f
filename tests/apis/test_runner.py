from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.dataset import DefaultSampler

from mmp2seg.apis import runner as apis
from mmp2seg.apis.arguments import CommandError


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


def test_resume_auto_takes_the_latest(tmp_path):
    checkpoint = tmp_path / 'iter_2.pth'
    checkpoint.touch()
    (tmp_path / 'last_checkpoint').write_text(str(checkpoint))
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))
    apis.set_resume(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (True, str(checkpoint))


def test_resume_auto_in_a_new_folder_keeps_the_pretrained_weights(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))
    apis.set_resume(cfg, 'auto')
    assert cfg.load_from == 'pretrained.pth'
    assert not cfg.get('resume')


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
