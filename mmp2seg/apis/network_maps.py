"""The maps of a trained stage-1 network for single images, as a source of point segmentation."""

import copy

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from mmp2seg.apis.pseudo_labels import stage1_model
from mmp2seg.apis.stage1_network import Stage1Network
from mmp2seg.ops.semantic_scores import image_values


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
        CommandError: see :class:`mmp2seg.apis.stage1_network.Stage1Network`.
    """

    def __init__(self, cfg: Config, checkpoint: str, *, device: str = 'cpu') -> None:
        cfg = copy.deepcopy(cfg)
        model = stage1_model(cfg)
        model.test_cfg = {**(model.get('test_cfg') or {}), 'use_weak_map': False}
        self._network = Stage1Network(cfg, checkpoint, device=device)
        self.num_classes = self._network.num_classes

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
        batch = self._network.batch(
            np.ascontiguousarray(image_rgb[..., ::-1]),  # pipelines load BGR
            points_xy=points_xy,
            labels=labels,
        )
        (maps,) = self._network.model.predict_maps(batch['inputs'], batch['data_samples'])
        scores, offset = maps.scores, maps.offset
        probs = scores.new_zeros(self.num_classes + 1, *scores.shape[1:])
        present = image_values(torch.as_tensor(labels, device=scores.device))
        # the network's classes that the image has no point of take no part
        probs[present] = scores / scores.sum(0).clamp_min(1e-12)
        return probs, offset
