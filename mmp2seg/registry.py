"""Registries of mmp2seg: children of mmengine's root registries with the scope ``mmp2seg``.

Only children of the root are visible from both mmdet and mmseg. As children of the root, they make
``type='mmp2seg.X'`` work in a config with any default scope, without ``custom_imports``. mmengine
swallows import errors of this module, so it imports only mmengine; errors in ``locations``
propagate.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry

SCOPE = 'mmp2seg'


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope=SCOPE, locations=list(locations))


DATASETS = _child(
    MMENGINE_DATASETS,
    'mmp2seg.datasets.point_coco',
    'mmp2seg.datasets.point_voc',
    'mmp2seg.datasets.pseudo_label_coco',
)
DATA_SAMPLERS = _child(
    MMENGINE_DATA_SAMPLERS, 'mmp2seg.datasets.samplers', 'mmp2seg.engine.label_loop'
)
TRANSFORMS = _child(MMENGINE_TRANSFORMS, 'mmp2seg.datasets.transforms')
MODELS = _child(MMENGINE_MODELS, 'mmp2seg.models', 'mmp2seg.segmenters')
TASK_UTILS = _child(
    MMENGINE_TASK_UTILS, 'mmp2seg.codecs', 'mmp2seg.segmenters', 'mmp2seg.pseudo_labels.refinement'
)
METRICS = _child(MMENGINE_METRICS, 'mmp2seg.evaluation')
HOOKS = _child(
    MMENGINE_HOOKS,
    'mmp2seg.engine.atomic_checkpoints',
    'mmp2seg.engine.checked_resume_hook',
    'mmp2seg.engine.checked_weights_hook',
    'mmp2seg.engine.iteration_seed_hook',
    'mmp2seg.engine.label_refresh_hook',
    'mmp2seg.engine.points_visualization_hook',
)
LOOPS = _child(MMENGINE_LOOPS, 'mmp2seg.engine.label_loop')
FUNCTIONS = _child(MMENGINE_FUNCTIONS, 'mmp2seg.engine.data_workers')
VISUALIZERS = _child(MMENGINE_VISUALIZERS, 'mmp2seg.visualization.points_visualizer')
