import functools
from pathlib import Path

import pytest
import torch

from mmp2seg.analysis.benchmarks import network
from mmp2seg.analysis.benchmarks.scene import make_scene
from mmp2seg.testing import tiny_p2seg_config

CONFIG = Path(__file__).resolve().parents[3] / 'configs' / 'ablations' / 'tiny_shapes_s2i_i2s.py'
COMMON = dict(config=str(CONFIG), cfg_options={}, points=5, device='cpu')
GUIDED, LOSS, ROUND = list(network.STEPS)[1:]


def _losses(step, *, dense=False, batch=1, **cfg_options):
    torch.manual_seed(0)
    options = {**COMMON, 'cfg_options': cfg_options, 'step': step, 'dense': dense}
    options |= dict(size=64, batch=batch)
    return network.make_training_step(options)()


def test_only_steps_with_i2s_have_an_affinity_loss():
    names = {step: set(_losses(step)) for step in network.STEPS}
    with_affinity = {step for step, losses in names.items() if 'loss_affinity' in losses}
    assert with_affinity == {LOSS, ROUND}
    assert all('loss_offset' in losses for losses in names.values())


def test_a_step_with_the_dense_reference_has_the_same_losses():
    # Sums in another order: pixels with two equal best scores may get either class.
    streamed, dense = _losses(ROUND), _losses(ROUND, dense=True)
    for name, value in streamed.items():
        torch.testing.assert_close(dense[name], value, rtol=1e-3, atol=1e-4)


def test_a_round_changes_the_refined_targets():
    assert _losses(LOSS)['loss_offset'] != _losses(ROUND)['loss_offset']


def test_settings_of_the_config_can_be_replaced():
    halved = _losses(LOSS, **{'model.mdm_loss.lambda_i2s': 0.0})
    assert halved['loss_affinity'] == 0


def test_the_losses_of_a_batch_are_the_mean_of_its_images():
    one, two = (_losses('without I2S', batch=batch) for batch in (1, 2))
    torch.testing.assert_close(two['loss_offset'], one['loss_offset'], rtol=1e-3, atol=1e-4)


def test_a_guided_round_changes_the_refined_targets():
    assert _losses(GUIDED)['loss_offset'] != _losses('without I2S')['loss_offset']


@pytest.mark.parametrize(('rounds', 'guided'), [(0, False), (0, True), (1, False)])
def test_inference_finds_the_objects(rounds, guided):
    options = {**COMMON, 'size': (64, 96), 'rounds': rounds, 'guided': guided}
    (sample,) = network.make_inference(options)()
    assert len(sample.pred_instances) + len(sample.dropped_points.points) == 5
    assert sample.pred_instances.masks.shape[1:] == (64, 96)
    if guided:
        assert len(sample.pred_instances) == 5  # every click has its pixels
    if rounds == 0:
        assert len(sample.pred_instances) >= 3


def test_heads_put_out_the_maps_of_the_scene():
    """A network of random weights on noise: its outputs without the hooks are near 0."""
    scene = make_scene(5, (64, 64), num_classes=2)
    build = functools.partial(network.build_network, tiny_p2seg_config(), device='cpu')
    model = build(scene).eval()
    with torch.no_grad():
        logits, offset, *_ = model._forward(torch.zeros(1, 3, 64, 64))
    classes = torch.from_numpy(scene.labels + 1).unique()
    found = logits.argmax(dim=1).unique()
    assert set(classes.tolist()) <= set(found.tolist())
    assert offset.abs().mean() > 1
