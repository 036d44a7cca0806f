"""Packages whose names are imported when they are used: ``import mmp2seg`` loads nothing heavy."""

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


def test_reading_a_points_file_loads_nothing_heavy():
    script = (
        'import sys, mmp2seg.converters.points_file, mmp2seg.converters.class_names\n'
        'print(*sys.modules)'
    )
    process = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    loaded = set(process.stdout.split())
    assert 'mmp2seg.datasets.coco_content' in loaded
    assert not {'torch', 'mmengine', 'mmcv', 'mmdet', 'mmseg'} & loaded


def test_names_of_datasets():
    from mmp2seg import datasets
    from mmp2seg.datasets.transforms import PackPointInputs

    assert datasets.PackPointInputs is PackPointInputs
    assert all(getattr(datasets, name).__name__ == name for name in datasets.__all__)
    with pytest.raises(AttributeError, match="'mmp2seg.datasets' has no attribute 'Points'"):
        datasets.Points  # noqa: B018
