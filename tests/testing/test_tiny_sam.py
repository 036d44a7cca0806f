import pytest
import torch

from mmp2seg.testing.tiny_sam import TINY_SAM_KINDS, write_tiny_sam

pytest.importorskip('transformers', reason='transformers (extra sam) is not installed')


def test_weights_depend_on_the_seed_and_the_random_state_stays(tmp_path):
    before = torch.random.get_rng_state()
    for name, seed in (('a', 0), ('b', 0), ('c', 1)):
        write_tiny_sam(tmp_path / name, seed=seed)
    assert torch.equal(torch.random.get_rng_state(), before)
    a, b, c = ((tmp_path / name / 'model.safetensors').read_bytes() for name in 'abc')
    assert a == b != c
    assert len(a) < 200_000


def test_unknown_kind(tmp_path):
    with pytest.raises(ValueError, match="expected kind to be one of .*, got 'sam9'"):
        write_tiny_sam(tmp_path, kind='sam9')
    assert len(TINY_SAM_KINDS) == 4  # test_sam_network.py loads each of them
