"""``import mmp2seg`` loads nothing heavy; its names are imported when they are used."""

import subprocess
import sys

import pytest

import mmp2seg

CHECK = """
import sys
before = set(sys.modules)
import mmp2seg
assert mmp2seg.__version__ and 'PseudoLabels' in dir(mmp2seg)
loaded = {name.split('.')[0] for name in set(sys.modules) - before}
assert not loaded - {'mmp2seg'} - set(sys.stdlib_module_names), loaded
ours = {name for name in sys.modules if name.startswith('mmp2seg')}
assert ours == {'mmp2seg', 'mmp2seg.version'}, ours
"""


def test_the_import_loads_the_standard_library_alone():
    process = subprocess.run([sys.executable, '-c', CHECK], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_names():
    from mmp2seg.apis.config_names import resolve_config
    from mmp2seg.apis.inferencer import P2SegInferencer
    from mmp2seg.apis.point_result import PointResult
    from mmp2seg.pseudo_labels.labels import PseudoLabels

    assert mmp2seg.P2SegInferencer is P2SegInferencer
    assert mmp2seg.PointResult is PointResult
    assert mmp2seg.PseudoLabels is PseudoLabels
    assert mmp2seg.resolve_config is resolve_config
    assert set(mmp2seg.__all__) <= set(dir(mmp2seg))
    with pytest.raises(AttributeError, match="module 'mmp2seg' has no attribute 'Inferencer'"):
        mmp2seg.Inferencer  # noqa: B018
