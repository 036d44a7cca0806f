"""What the tools that draw a trained stage-1 network have in common."""

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.runner import load_checkpoint

from mmp2seg.apis.pseudo_labels import label_dataset
from mmp2seg.registry import DATASETS, MODELS


def build_dataset(cfg: Config, split: str, *, with_weak_map: bool) -> BaseDataset:
    """The data set of a split, read as in a test; the weak map too, if ``with_weak_map``."""
    dataset_cfg = label_dataset(cfg, split)
    for step in dataset_cfg.pipeline:
        if 'with_seg' in step:
            step.with_seg = with_weak_map
    return DATASETS.build(dataset_cfg)


def build_model(cfg: Config, checkpoint: str, device: str, *, strict: bool = False) -> BaseModel:
    """The detector with its weights, set to return its maps beside the instances.

    Args:
        strict: also refuse a checkpoint with other weights than the model's.

    Raises:
        RuntimeError: as ``strict`` says.
    """
    cfg.model.setdefault('test_cfg', {})
    cfg.model.test_cfg.return_maps = True
    model = revert_sync_batchnorm(MODELS.build(cfg.model))
    load_checkpoint(model, checkpoint, map_location='cpu', strict=strict)
    return model.to(device).eval()


def spread_indices(length: int, num: int) -> list[int]:
    """At most ``num`` of the indices ``0..length - 1``, from the first to the last one."""
    return np.linspace(0, length - 1, min(num, length)).round().astype(int).tolist()
