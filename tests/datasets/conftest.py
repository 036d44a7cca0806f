import pytest

from mmp2seg.testing import write_tiny_voc


@pytest.fixture
def tiny_voc(tmp_path):
    """Folder and data set arguments of a small data set in VOC layout."""
    return tmp_path, write_tiny_voc(tmp_path)
