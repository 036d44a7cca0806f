from types import SimpleNamespace

import pytest
from mmengine.config import Config

from mmp2seg.engine.checked_resume_hook import CheckedResumeHook


@pytest.fixture
def runner():
    warnings = []
    logger = SimpleNamespace(warning=warnings.append)
    cfg = Config(dict(a=1, b=2))
    return SimpleNamespace(_resume=True, logger=logger, cfg=cfg, warnings=warnings)


def test_the_config_is_taken_out_and_compared_as_text(runner):
    checkpoint = dict(meta=dict(config='a = 1\nb = 3\nraise ValueError\n', iter=4))
    CheckedResumeHook().after_load_checkpoint(runner, checkpoint)
    assert checkpoint == dict(meta=dict(iter=4))
    (warning,) = runner.warnings
    assert warning.splitlines()[1:] == ['-b = 3', '-raise ValueError', '+b = 2']


def test_an_equal_config_and_none_need_no_word(runner):
    text = f"{runner.cfg.pretty_text}load_from = 'a.pth'\nresume = True\n"
    for meta in (dict(config=text), {}):
        CheckedResumeHook().after_load_checkpoint(runner, dict(meta=meta))
    CheckedResumeHook().after_load_checkpoint(runner, dict(state_dict={}))
    assert runner.warnings == []


def test_a_long_difference_is_cut(runner):
    text = '\n'.join(f'x{number} = 1' for number in range(30))
    CheckedResumeHook().after_load_checkpoint(runner, dict(meta=dict(config=text)))
    assert runner.warnings[0].splitlines()[-1].endswith('more')
    assert len(runner.warnings[0].splitlines()) == 12


def test_a_test_needs_no_comparison(runner):
    runner._resume = False
    checkpoint = dict(meta=dict(config='c = 1'))
    CheckedResumeHook().after_load_checkpoint(runner, checkpoint)
    assert checkpoint['meta'] == {} and runner.warnings == []
