import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import save_checkpoint

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.network_maps import NetworkMaps
from mmp2seg.registry import MODELS

CONFIG = 'configs/p2seg/tiny_own_data.py'


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    cfg = Config.fromfile(CONFIG)
    torch.manual_seed(0)
    path = str(tmp_path_factory.mktemp('network') / 'network.pth')
    save_checkpoint(dict(state_dict=MODELS.build(cfg.model).state_dict()), path)
    return NetworkMaps(cfg, path)


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_maps_are_in_the_frame_of_the_image(network):
    probs, offset = network(image(50, 70), points_xy=np.array([[3.5, 4.5]]), labels=np.array([1]))
    assert network.num_classes == 2
    assert probs.shape == (3, 50, 70)
    assert offset.shape == (2, 50, 70)
    assert torch.allclose(probs.sum(0), torch.ones(50, 70), atol=1e-4)
    assert (probs[1] == 0).all()  # no point of the first class
    assert (probs[2] > 0).all()


def test_the_maps_look_at_the_image(network):
    points = dict(points_xy=np.array([[3.5, 4.5]]), labels=np.array([1]))
    first, other = network(image(40, 40), **points)[0], network(image(40, 40, 1), **points)[0]
    assert not torch.allclose(first, other)
    assert torch.equal(first, network(image(40, 40), **points)[0])


def test_offsets_are_in_pixels_of_the_image(network):
    points = dict(points_xy=np.array([[3.5, 4.5]]), labels=np.array([0]))
    small = image(96, 96)
    large = small.repeat(4, 0).repeat(4, 1)  # 384 x 384, the size that the network sees
    half, full = network(small, **points)[1], network(large, **points)[1]
    resized = torch.nn.functional.interpolate(full[None] / 4, (96, 96), mode='area')[0]
    # both are the same network input but for the interpolation of the image
    assert torch.corrcoef(torch.stack([half.flatten(), resized.flatten()]))[0, 1] > 0.8
    assert half.abs().mean() == pytest.approx(resized.abs().mean(), rel=0.5)


def test_errors(tmp_path):
    with pytest.raises(CommandError, match='checkpoint not found'):
        NetworkMaps(Config.fromfile(CONFIG), str(tmp_path / 'gone.pth'))
    cfg = Config.fromfile('configs/refine/mask-rcnn_tiny_shapes.py')
    with pytest.raises(CommandError, match='expected a config of stage 1'):
        NetworkMaps(cfg, 'x.pth')
    cfg = Config.fromfile(CONFIG)
    cfg.test_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline[1:]
    with pytest.raises(CommandError, match='expected LoadImageFromFile and LoadPointAnnotations'):
        NetworkMaps(cfg, 'x.pth')
