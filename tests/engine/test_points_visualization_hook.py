import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.visualization import Visualizer

from mmp2seg.apis.runner import draw_predictions
from mmp2seg.engine.points_visualization_hook import PointsVisualizationHook
from mmp2seg.testing import tiny_p2seg_config, write_tiny_voc
from mmp2seg.visualization.points_visualizer import PointsVisualizer


class ListBackend:
    """Keeps what a backend such as TensorBoard would show."""

    def __init__(self):
        self.images = []

    def add_config(self, *_, **__):
        pass

    def add_scalars(self, *_, **__):
        pass

    def close(self):
        pass

    def add_image(self, name, image, step=0, **_):
        self.images.append((name, step, image.shape))


@pytest.fixture
def make_runner(tmp_path, monkeypatch):
    """Returns a function that makes a runner with three images of batch size 2."""
    monkeypatch.setattr(Visualizer, '_instance_dict', {})
    monkeypatch.setattr(PointsVisualizer, '_instance_dict', {})
    data = write_tiny_voc(tmp_path)
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='mmp2seg.LoadPointAnnotations', with_seg=True),
        dict(type='mmp2seg.PackPointInputs'),
    ]
    loader = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type='mmp2seg.PointVOCDataset', pipeline=pipeline, test_mode=True, **data),
    )

    def make(show_dir=None, **options):
        hook = dict(type='mmp2seg.PointsVisualizationHook', **options)
        name = f'hook_{tmp_path.name}'
        config = dict(
            model=tiny_p2seg_config(),
            work_dir=str(tmp_path / 'work'),
            experiment_name=name,
            default_scope='mmdet',
            default_hooks=dict(visualization=hook),
            visualizer=dict(type='mmp2seg.PointsVisualizer', vis_backends=[], name=name),
            log_level='ERROR',
        )
        for split in ('val', 'test'):
            config |= {f'{split}_dataloader': loader, f'{split}_evaluator': []}
        config = Config(config | dict(val_cfg=dict(), test_cfg=dict()))
        if show_dir is not None:
            draw_predictions(config, show_dir=show_dir)
        runner = Runner.from_cfg(config)
        backend = ListBackend()
        runner.visualizer._vis_backends = {'list': backend}
        return runner, backend

    return make


def test_every_second_image_of_a_validation(make_runner):
    runner, backend = make_runner(draw=True, interval=2)
    seen = []
    decode = runner.model.decode_maps

    def watch(sample, maps):
        seen.append(runner.model.test_cfg['return_maps'])
        decode(sample, maps)

    runner.model.decode_maps = watch
    for _ in range(2):  # a second validation draws the same images
        runner.val()
    assert [image[:2] for image in backend.images] == [('val_0', 0), ('val_2', 0)] * 2
    # five panels: two rows
    assert all(shape[0] > 640 for _, _, shape in backend.images)
    assert seen == [True] * 6
    assert runner.model.test_cfg['return_maps'] is False


def test_maps_are_requested_for_drawn_batches_only(make_runner):
    runner, backend = make_runner(draw=True, interval=50)
    seen = []
    decode = runner.model.decode_maps
    runner.model.decode_maps = lambda sample, maps: (
        seen.append(runner.model.test_cfg['return_maps']) or decode(sample, maps)
    )
    runner.test()
    assert [image[0] for image in backend.images] == ['test_0']
    assert seen == [True, True, False]


def test_show_dir_gets_all_images_and_the_backends_none(make_runner, tmp_path):
    runner, backend = make_runner(show_dir='pictures', interval=50)
    runner.test()
    folder = tmp_path / 'work' / runner.timestamp / 'pictures'
    names = sorted(path.name for path in folder.rglob('*.png'))
    assert names == ['img_1.jpg.png', 'img_2.jpg.png', 'img_3.jpg.png']
    assert backend.images == []


def test_nothing_is_drawn_by_default(make_runner):
    runner, backend = make_runner()
    runner.test()
    assert backend.images == []


def test_options_of_a_network_inside_of_wrappers(make_runner):
    from mmp2seg.engine.points_visualization_hook import _stage1_options

    runner, _ = make_runner()
    network = runner.model
    runner.model = torch.nn.Module()
    assert _stage1_options(runner) is None
    runner.model.module = network
    assert _stage1_options(runner) is network.test_cfg


def test_interval_must_be_positive():
    with pytest.raises(ValueError, match='expected interval to be at least 1, got 0'):
        PointsVisualizationHook(interval=0)
