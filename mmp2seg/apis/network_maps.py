"""The maps of a trained stage-1 network for single images, as a source of point segmentation."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from torch import Tensor

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.pseudo_labels import label_dataset, stage1_model
from mmp2seg.apis.runner import require_checkpoint
from mmp2seg.ops.semantic_scores import image_values
from mmp2seg.registry import MODELS

_IMAGE = 'LoadImageFromFile'
_POINTS = 'LoadPointAnnotations'


class NetworkMaps:
    """Compute class probabilities and offsets of images by a trained stage-1 network.

    Weak maps are not read, even if the config's ``test_cfg`` uses them.

    Args:
        cfg: config of stage 1; it is not changed.
        checkpoint: path or address of its checkpoint.
        device: torch's name of a device.

    Attributes:
        num_classes: K of the network.

    Raises:
        CommandError: the config is not one of stage 1, its test pipeline does not load an image and
            points, or there is no checkpoint.
    """

    def __init__(self, cfg: Config, checkpoint: str, *, device: str = 'cpu') -> None:
        cfg = copy.deepcopy(cfg)
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        model = stage1_model(cfg)
        model.test_cfg = {**(model.get('test_cfg') or {}), 'use_weak_map': False}
        for module in (model, *model.values()):
            if isinstance(module, dict) and 'init_cfg' in module:
                module['init_cfg'] = None  # the checkpoint has all weights
        self.num_classes = model.semantic_head.num_classes
        self._pipeline = Compose(_array_pipeline(cfg))
        self._model = MODELS.build(model)
        load_checkpoint(self._model, require_checkpoint(checkpoint), map_location='cpu')
        self._model = self._model.to(device).eval()

    @torch.no_grad()
    def __call__(
        self, image_rgb: np.ndarray, *, points_xy: np.ndarray, labels: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Return the maps of an image in its own frame.

        Args:
            image_rgb: ``(H, W, 3)`` uint8.
            points_xy: ``(N, 2)`` floats; at least one.
            labels: ``(N,)`` classes; only these and the background have probabilities above 0.

        Returns:
            tuple: ``(K + 1, H, W)`` probabilities, background first, and ``(2, H, W)`` offsets
            ``(dx, dy)`` in pixels.
        """
        data = self._pipeline(
            dict(
                img=np.ascontiguousarray(image_rgb[..., ::-1]),  # pipelines load BGR
                img_id=0,
                num_classes=self.num_classes,
                instances=[
                    dict(point=[float(x), float(y)], bbox_label=int(label), point_id=index)
                    for index, ((x, y), label) in enumerate(zip(points_xy, labels, strict=True))
                ],
            )
        )
        batch = self._model.data_preprocessor(
            dict(inputs=[data['inputs']], data_samples=[data['data_samples']])
        )
        (maps,) = self._model.predict_maps(batch['inputs'], batch['data_samples'])
        scores, offset = maps.scores, maps.offset
        probs = scores.new_zeros(self.num_classes + 1, *scores.shape[1:])
        present = image_values(torch.as_tensor(labels, device=scores.device))
        # the network's classes that the image has no point of take no part
        probs[present] = scores / scores.sum(0).clamp_min(1e-12)
        return probs, offset


def _array_pipeline(cfg: Config) -> Sequence[dict]:
    """Return the test pipeline of a config for images that are arrays already."""
    pipeline = copy.deepcopy(label_dataset(cfg, 'test').pipeline)
    kinds = [step.type.split('.')[-1] for step in pipeline]
    if _IMAGE not in kinds or _POINTS not in kinds:
        raise CommandError(f'{cfg.filename}: expected {_IMAGE} and {_POINTS} in the test pipeline')
    pipeline[kinds.index(_IMAGE)] = dict(type='mmdet.LoadImageFromNDArray')
    pipeline[kinds.index(_POINTS)].update(with_seg=False, allow_outside=True)
    return pipeline
