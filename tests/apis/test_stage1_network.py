import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.stage1_network import Stage1Network, load_weights
from mmp2seg.registry import MODELS

CONFIG = 'configs/p2seg/tiny_own_data.py'


@pytest.fixture(scope='module')
def cfg():
    return Config.fromfile(CONFIG)


@pytest.fixture(scope='module')
def state(cfg):
    torch.manual_seed(0)
    return MODELS.build(cfg.model).state_dict()


def save(path, state, **content):
    save_checkpoint(dict(state_dict=state, **content), str(path))
    return str(path)


def test_batch(cfg, state, tmp_path):
    network = Stage1Network(cfg, save(tmp_path / 'a.pth', state))
    assert network.num_classes == 2 and network.trained_classes is None
    assert not network.model.training
    semantic_map = np.zeros((50, 70), np.uint8)
    semantic_map[:25] = 2
    batch = network.batch(
        np.zeros((50, 70, 3), np.uint8),
        points_xy=[(3.5, 4.5), (90, 1)],
        labels=[1, 0],
        semantic_map=semantic_map,
    )
    (sample,) = batch['data_samples']
    height, width = sample.img_shape[:2]
    assert batch['inputs'].shape[0] == 1 and batch['inputs'].shape[2] >= height
    assert sample.gt_sem_seg.sem_seg.shape == (1, height, width)  # resized with the image
    assert (sample.gt_sem_seg.sem_seg[0, : height // 2 - 1] == 2).all()
    assert sample.ori_points.points.tolist() == [[3.5, 4.5], [90, 1]]  # also the one outside
    assert sample.ori_points.point_ids.tolist() == [0, 1]
    (sample,) = network.batch(np.zeros((50, 70, 3), np.uint8))['data_samples']
    assert len(sample.ori_points) == 0 and 'gt_sem_seg' not in sample


def test_reading(cfg, state, tmp_path):
    network = Stage1Network(cfg, save(tmp_path / 'a.pth', state))
    with pytest.raises(FileNotFoundError, match=r'gone\.jpg: no such file'):
        network.read('gone.jpg')
    (tmp_path / 'text.jpg').write_text('text')
    with pytest.raises(ValueError, match=r'text\.jpg: expected an image'):
        network.read(tmp_path / 'text.jpg')


def test_pretrained_weights_are_not_fetched(cfg, state, tmp_path):
    changed = Config(cfg.to_dict())
    changed.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='gone.pth')
    network = Stage1Network(changed, save(tmp_path / 'a.pth', state))
    assert 'gone.pth' not in str(network.model.backbone.init_cfg)
    assert changed.model.backbone.init_cfg.checkpoint == 'gone.pth'  # the config is not changed


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_weights(prefix, tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    state = {f'{prefix}{key}': value + 1 for key, value in model.state_dict().items()}
    path = save(tmp_path / 'a.pth', {**state, 'another': torch.zeros(1)}, meta=dict(epoch=3))
    assert load_weights(model, path)['epoch'] == 3
    for key, value in model.state_dict().items():
        assert torch.equal(value, state[prefix + key])
    state.pop(f'{prefix}1.num_batches_tracked')  # a counter may be missing
    load_weights(model, save(tmp_path / 'b.pth', state))


def test_weights_that_do_not_fit(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = {**model.state_dict(), '0.weight': torch.zeros(3, 5)}
    state.pop('1.bias')
    path = save(tmp_path / 'a.pth', state)
    with pytest.raises(CommandError, match=r'a\.pth: .* 2 of 4 entries .*: 0\.weight, 1\.bias$'):
        load_weights(model, path)
    with pytest.raises(
        CommandError, match=r'4 of 4 entries .*: 0\.weight, 0\.bias, 1\.weight and 1'
    ):
        load_weights(model, save(tmp_path / 'b.pth', {}))
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    (tmp_path / 'c.pth').write_bytes(b'x')
    with pytest.raises(
        CommandError, match=r'c\.pth: expected a checkpoint, it cannot be read \(\w+'
    ):
        load_weights(model, str(tmp_path / 'c.pth'))


def test_configs_that_do_not_fit(cfg, tmp_path):
    with pytest.raises(CommandError, match='expected a config of stage 1'):
        Stage1Network(Config.fromfile('configs/refine/mask-rcnn_tiny_shapes.py'), 'x.pth')
    changed = Config(cfg.to_dict())
    changed.test_dataloader.dataset.pipeline = changed.test_dataloader.dataset.pipeline[1:]
    with pytest.raises(CommandError, match='expected LoadImageFromFile and LoadPointAnnotations'):
        Stage1Network(changed, 'x.pth')
    with pytest.raises(CommandError, match='checkpoint not found'):
        Stage1Network(cfg, tmp_path / 'gone.pth')
