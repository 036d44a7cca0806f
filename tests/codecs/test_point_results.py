import dataclasses

import pytest
import torch

from mmp2seg.codecs import DROP_REASONS, PointTargets


def test_every_reason_has_an_explanation():
    assert list(DROP_REASONS) == ['duplicate', 'outside_image', 'no_region', 'no_pixels']
    assert all(text and not text.endswith('.') for text in DROP_REASONS.values())


def test_results_are_not_changed_in_place():
    targets = PointTargets(*[torch.zeros(1)] * 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        targets.weight = torch.ones(1)
