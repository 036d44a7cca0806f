"""Build dataset and network for the tools that draw the output of stage 1."""

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.runner import load_checkpoint

from mmp2seg.apis.pseudo_labels import label_dataset, stage1_model
from mmp2seg.registry import DATASETS, MODELS


def build_dataset(cfg: Config, split: str, *, with_weak_map: bool) -> BaseDataset:
    """Build the dataset of a split with the test pipeline, with or without the weak maps."""
    dataset_cfg = label_dataset(cfg, split)
    for step in dataset_cfg.pipeline:
        if 'with_seg' in step:
            step.with_seg = with_weak_map
    return DATASETS.build(dataset_cfg)


def build_model(cfg: Config, checkpoint: str, device: str, *, strict: bool = False) -> BaseModel:
    """Build the detector with its weights; it returns its maps together with the instances.

    Args:
        strict: reject a checkpoint whose entries are not exactly the model's.

    Raises:
        RuntimeError: if ``strict`` and the checkpoint does not fit.
    """
    model_cfg = stage1_model(cfg)
    model_cfg.test_cfg = {**(model_cfg.get('test_cfg') or {}), 'return_maps': True}
    model = revert_sync_batchnorm(MODELS.build(model_cfg))
    load_checkpoint(model, checkpoint, map_location='cpu', strict=strict)
    return model.to(device).eval()


def spread_indices(length: int, num: int) -> list[int]:
    """Return up to ``num`` evenly spaced indices of ``0..length - 1``, with the first and last."""
    return np.linspace(0, length - 1, min(num, length)).round().astype(int).tolist()
