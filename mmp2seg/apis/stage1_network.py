"""A trained stage-1 network that takes images and points as arrays."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from torch import nn

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.pseudo_labels import label_dataset, stage1_model
from mmp2seg.apis.runner import load_images_by_name, require_checkpoint
from mmp2seg.files.text_reading import printable
from mmp2seg.models.pretrained import WrongCheckpointError, require_entries
from mmp2seg.registry import MODELS, TRANSFORMS

_IMAGE = 'LoadImageFromFile'
_POINTS = 'LoadPointAnnotations'


class Stage1Network:
    """The detector of a stage-1 config with its weights, and the config's test pipeline.

    Args:
        cfg: config of stage 1; it is not changed.
        checkpoint: path or address of its checkpoint.
        device: torch's name of a device.

    Attributes:
        model: the detector, in evaluation mode.
        num_classes: K.
        trained_classes: names of the classes that the checkpoint states; None: it states none.
        resizes_maps: whether the pipeline resizes maps of the image's aspect ratio.

    Raises:
        CommandError: the config is not one of stage 1, its test pipeline does not load an image and
            points, there is no checkpoint, or it cannot be read or does not fit.
    """

    def __init__(self, cfg: Config, checkpoint: str | Path, *, device: str = 'cpu') -> None:
        model_cfg = copy.deepcopy(stage1_model(cfg))
        for module in (model_cfg, *model_cfg.values()):
            if isinstance(module, dict) and 'init_cfg' in module:
                module['init_cfg'] = None  # the checkpoint has all weights
        self.num_classes: int = model_cfg.semantic_head.num_classes
        steps = _test_steps(cfg)
        load_images_by_name(steps[_IMAGE])
        self.resizes_maps = bool(steps[_POINTS].get('resize_seg_map', False))
        checkpoint = require_checkpoint(str(checkpoint))
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
            self._load_image = TRANSFORMS.build(steps[_IMAGE])
            self._pipeline = Compose(_array_pipeline(cfg))
            model = revert_sync_batchnorm(MODELS.build(model_cfg))
        meta = load_weights(model, checkpoint)
        classes = (meta.get('dataset_meta') or {}).get('classes')
        self.trained_classes = None if classes is None else [str(name) for name in classes]
        self.model = model.to(device).eval()

    def read(self, path: str | Path) -> npt.NDArray[Any]:
        """Read an image as the config's test pipeline does.

        Returns:
            NDArray: ``(H, W, 3)``, usually uint8 BGR.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not an image; the message names the file.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f'{path}: no such file')
        results = self._load_image(dict(img_path=str(path)))
        if results is None:  # a pipeline that skips broken images
            raise ValueError(f'{path}: expected an image, got a file that cannot be read')
        image: npt.NDArray[Any] = results['img']
        return image

    def batch(
        self,
        image: npt.NDArray[Any],
        *,
        points_xy: npt.ArrayLike = (),
        labels: Sequence[int] | npt.NDArray[np.integer] = (),
        point_ids: Sequence[int] | npt.NDArray[np.integer] | None = None,
        semantic_map: npt.NDArray[np.uint8] | None = None,
    ) -> dict:
        """Return the input of the model for one image, on its device.

        Args:
            image: ``(H, W, 3)`` BGR, as :meth:`read` returns it.
            points_xy: ``(N, 2)`` floats in the frame of the image; may be outside.
            labels: ``(N,)`` classes ``0..K-1``.
            point_ids: ``(N,)`` integers; None: 0, 1, ...
            semantic_map: ``(H, W)`` uint8, the weak map: 0 background, ``k + 1`` class k, 255
                ignore. None: there is none.

        Returns:
            dict: ``inputs`` ``(1, 3, H', W')`` and ``data_samples``, a list of one sample.
        """
        points = np.asarray(points_xy, dtype=np.float64).reshape(-1, 2)
        ids = range(len(points)) if point_ids is None else point_ids
        data: dict[str, Any] = dict(
            img=image,
            img_id=0,
            num_classes=self.num_classes,
            instances=[
                dict(point=[float(x), float(y)], bbox_label=int(label), point_id=int(point_id))
                for (x, y), label, point_id in zip(points, labels, ids, strict=True)
            ],
        )
        if semantic_map is not None:
            data.update(gt_seg_map=semantic_map, seg_fields=['gt_seg_map'])
        packed = self._pipeline(data)
        batch: dict = self.model.data_preprocessor(
            dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])
        )
        return batch


def load_weights(model: nn.Module, checkpoint: str) -> dict:
    """Load a checkpoint that has every entry of a model; entries of other modules are left out.

    Args:
        model: the network.
        checkpoint: path or address.

    Returns:
        dict: ``meta`` of the checkpoint, empty if it has none.

    Raises:
        CommandError: it cannot be read, or lacks entries or has them in other shapes; the message
            names the first of them.
    """
    try:
        content = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu', logger='silent')
        state = dict(content.get('state_dict', content))
    except Exception as error:  # of the network, the file system, pickle, zip, ...
        reason = printable(str(error).strip().split('\n')[0])
        raise CommandError(
            f'{checkpoint}: expected a checkpoint, it cannot be read '
            f'({type(error).__name__}: {reason:.200})'
        ) from error
    try:
        require_entries(model, state, source=checkpoint)
    except WrongCheckpointError as error:
        raise CommandError(str(error)) from error
    state = {name.removeprefix('module.'): value for name, value in state.items()}
    model.load_state_dict(state, strict=False)
    return content.get('meta') or {}


def _test_steps(cfg: Config) -> dict[str, dict]:
    """Return the steps of the test pipeline by their names without scope."""
    steps = {step.type.split('.')[-1]: step for step in label_dataset(cfg, 'test').pipeline}
    if _IMAGE not in steps or _POINTS not in steps:
        raise CommandError(f'{cfg.filename}: expected {_IMAGE} and {_POINTS} in the test pipeline')
    return steps


def _array_pipeline(cfg: Config) -> list[dict]:
    """Return the test pipeline of a config for images that are arrays already."""
    pipeline = copy.deepcopy(label_dataset(cfg, 'test').pipeline)
    for index, step in enumerate(pipeline):
        kind = step.type.split('.')[-1]
        if kind == _IMAGE:
            pipeline[index] = dict(type='mmdet.LoadImageFromNDArray')
        elif kind == _POINTS:
            step.update(with_seg=False, allow_outside=True)
    return pipeline
