import os

import pytest
import torch

from mmp2seg.files.weights_only import is_weights_only, weights_only

VARIABLE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'


class Thing:
    pass


@pytest.fixture
def file(tmp_path):
    torch.save(dict(thing=Thing()), tmp_path / 'x.pth')
    return tmp_path / 'x.pth'


def test_python_objects_are_refused_in_the_block(monkeypatch, file):
    monkeypatch.delenv(VARIABLE, raising=False)
    with weights_only():
        assert is_weights_only()
        with pytest.raises(Exception, match='Thing'):
            torch.load(file, weights_only=False)
    assert VARIABLE not in os.environ and not is_weights_only()
    assert isinstance(torch.load(file, weights_only=False)['thing'], Thing)


def test_what_was_set_before_comes_back(monkeypatch, file):
    monkeypatch.setenv(VARIABLE, 'yes')
    with weights_only(False):
        assert is_weights_only()
    with pytest.raises(KeyError), weights_only():
        raise KeyError
    assert os.environ[VARIABLE] == 'yes'
