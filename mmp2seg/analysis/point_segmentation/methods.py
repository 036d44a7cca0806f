"""Methods to compare, from their names, types or a config."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.model import BaseModule

from mmp2seg.analysis.point_segmentation.truth_images import TruthImages
from mmp2seg.apis.network_maps import NetworkMaps
from mmp2seg.apis.runner import load_config
from mmp2seg.models.pretrained import init_weights_quietly
from mmp2seg.registry import MODELS, TASK_UTILS
from mmp2seg.segmenters import BASELINES, PointSegmentation, PointSegmentationMethod
from mmp2seg.segmenters.class_head_training import ClassHeadTraining, PointImage

_TRAINING = 'class_head_training'
_NETWORK = 'network'

# Config of each baseline by its name.
BASELINE_METHODS: dict[str, dict] = {
    **{rule: dict(type='mmp2seg.PointBaseline', rule=rule) for rule in BASELINES},
    'nearest': dict(type='mmp2seg.NearestSplit'),
}


def choose_methods(
    names: Sequence[str] | None, *, configured: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Return the configs of methods by name.

    Args:
        names: a name is a key of ``configured``, a baseline or a registered type
            (``'mmp2seg.X'``). None: all of ``configured``, or all baselines if it is empty.
        configured: configs of methods by name; they take precedence over baselines.

    Raises:
        ValueError: a name is unknown, or an entry of ``configured`` is not a config with a type.
    """
    for name, config in configured.items():
        if not isinstance(config, Mapping) or 'type' not in config:
            raise ValueError(f'methods.{name}: expected a dict with a type, got {config!r:.60}')
    known = {**BASELINE_METHODS, **configured}
    chosen: dict[str, Mapping[str, Any]] = {}
    for name in names or configured or BASELINE_METHODS:
        if name in known:
            chosen[name] = known[name]
        elif '.' in name and (TASK_UTILS.get(name) or MODELS.get(name)):
            chosen[name] = dict(type=name)
        else:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f'; did you mean {close[0]}?' if close else ''
            raise ValueError(
                f'expected a method of {tuple(known)} or a registered type such as '
                f"'mmp2seg.PointBaseline', got {name!r}{hint}"
            )
    return chosen


def build_method(config: Mapping[str, Any]) -> PointSegmentationMethod:
    """Build a method that is registered among the task utilities or the models, with its weights.

    Args:
        config: the method's config. ``class_head_training`` is left to :func:`train_method`.
            ``network``, a dict of ``config`` and ``checkpoint`` of stage 1, gives the method the
            network's maps (:class:`mmp2seg.apis.network_maps.NetworkMaps`).

    Raises:
        PretrainedWeightsError: pretrained weights are missing.
    """
    options = {k: v for k, v in config.items() if k not in (_TRAINING, _NETWORK)}
    if TASK_UTILS.get(options['type']) is not None:
        return TASK_UTILS.build(options)
    method = MODELS.build(options)
    if not isinstance(method, BaseModule):
        return method
    init_weights_quietly(method)
    method.eval()
    if _NETWORK in config:
        return _WithNetwork(method, **config[_NETWORK])
    return method


def train_method(
    method: PointSegmentationMethod,
    config: Mapping[str, Any],
    images: TruthImages,
    *,
    work_dir: str,
) -> None:
    """Train the class head of a method on the points of all images, if its config says so.

    Args:
        method: of :func:`build_method`.
        config: its config; ``class_head_training`` has the options of
            :class:`mmp2seg.segmenters.class_head_training.ClassHeadTraining`.
        images: only their pixels and points are read.
        work_dir: folder of the trainings' logs.
    """
    if _TRAINING in config:
        ClassHeadTraining(**config[_TRAINING]).fit(
            method, _PointImages(images), num_classes=len(images.classes), work_dir=work_dir
        )


class _WithNetwork:
    """A segmenter whose second prior is a trained network."""

    def __init__(self, segmenter: PointSegmentationMethod, *, config: str, checkpoint: str) -> None:
        self._segmenter = segmenter
        self._network = NetworkMaps(load_config(config), checkpoint)

    def __call__(self, image_rgb: np.ndarray, **options: Any) -> PointSegmentation:
        points, labels = options['points_xy'], options['labels']
        maps = self._network(image_rgb, points_xy=points, labels=labels) if len(points) else None
        return self._segmenter(image_rgb, network_maps=maps, **options)


class _PointImages:
    """Images and points without the truth."""

    def __init__(self, images: TruthImages) -> None:
        self._images = images

    def __iter__(self) -> Iterator[PointImage]:
        for index in range(len(self._images)):
            truth = self._images[index]
            yield PointImage(
                truth.image_rgb,
                np.asarray(truth.points_xy, np.float64).reshape(-1, 2),
                np.asarray(truth.labels, np.int64),
                truth.background_xy,
            )
