import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import nn

import mmp2seg.engine.optim_wrappers  # noqa: F401


@pytest.mark.parametrize('scope', ['mmdet', 'mmseg', 'mmp2seg'])
def test_forward_is_bfloat16_and_the_step_float32(scope):
    model = nn.Linear(3, 2)
    config = dict(type='CPUAmpOptimWrapper', optimizer=dict(type='SGD', lr=0.5))
    with DefaultScope.overwrite_default_scope(scope):
        wrapper = build_optim_wrapper(model, config)
    before = model.weight.detach().clone()

    with wrapper.optim_context(model):
        out = model(torch.ones(1, 3))
        assert out.dtype == torch.bfloat16
    assert model(torch.ones(1, 3)).dtype == torch.float32
    wrapper.update_params(out.float().sum())

    # the gradient of the summed outputs by the weight is 1 everywhere
    assert model.weight.dtype == torch.float32
    torch.testing.assert_close(model.weight, before - 0.5)


def test_state_dict_is_that_of_the_optimizer():
    model = nn.Linear(3, 2)
    wrapper = build_optim_wrapper(
        model, dict(type='CPUAmpOptimWrapper', optimizer=dict(type='SGD', lr=0.5))
    )
    assert 'loss_scaler' not in wrapper.state_dict()
