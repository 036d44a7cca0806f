import pytest

from mmp2seg.testing import write_tiny_voc


@pytest.fixture
def tiny_voc(tmp_path):
    """Make a small dataset in VOC layout; returns its folder and the dataset arguments."""
    return tmp_path, write_tiny_voc(tmp_path)
