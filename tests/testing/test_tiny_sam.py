import numpy as np
import pytest
import torch

from mmp2seg.segmenters.sam_network import load_sam
from mmp2seg.testing.tiny_sam import TINY_SAM_KINDS, write_tiny_sam

transformers = pytest.importorskip(
    'transformers', reason='transformers (extra sam) is not installed'
)


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


@pytest.mark.parametrize('kind', TINY_SAM_KINDS)
def test_masks_depend_on_image_and_point(tmp_path, kind):
    if kind == 'sam3_tracker' and not hasattr(transformers, 'Sam3TrackerModel'):
        pytest.skip('this version of transformers has no SAM 3')
    write_tiny_sam(tmp_path, kind=kind)
    network = load_sam(tmp_path)
    images = np.random.default_rng(0).integers(0, 255, (2, 40, 60, 3), dtype=np.uint8)
    points = np.array([[[10.0, 10]], [[50, 30]]])
    (first, other), (second, _) = (
        network.candidates(network.embed(image), points, np.ones((2, 1), bool))[0]
        for image in images
    )
    for different in (second, other):
        assert (first - different).abs().mean() > 0.02 * first.std()
    assert first.std((1, 2)).min() > 0.01
