"""The result of a point segmenter."""

import dataclasses

import numpy as np
import pytest

from mmp2seg.segmenters import PointSegmentation


def test_has_no_second_map_by_default_and_cannot_be_changed():
    result = PointSegmentation(
        np.zeros((2, 3), np.int32), np.zeros((2, 3), np.uint8), np.zeros(0, np.float32)
    )
    assert result.semantic_argmax is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.semantic_map = result.instance_map
