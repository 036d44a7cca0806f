"""mmp2seg: instance segmentation from one point per object (P2Seg, ICLR 2024).

The names of this module are imported when they are used: ``import mmp2seg`` loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mmp2seg.version import __version__

if TYPE_CHECKING:
    from mmp2seg.apis.config_names import resolve_config
    from mmp2seg.apis.inferencer import P2SegInferencer
    from mmp2seg.apis.point_result import PointResult
    from mmp2seg.pseudo_labels.labels import PseudoLabels

__all__ = ['P2SegInferencer', 'PointResult', 'PseudoLabels', '__version__', 'resolve_config']

_MODULES = {
    'P2SegInferencer': 'mmp2seg.apis.inferencer',
    'PointResult': 'mmp2seg.apis.point_result',
    'PseudoLabels': 'mmp2seg.pseudo_labels.labels',
    'resolve_config': 'mmp2seg.apis.config_names',
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
