"""Build dataset and network for the tools that draw the input and output of stage 1."""

import copy
import sys

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.runner import load_checkpoint

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.pseudo_labels import label_dataset, stage1_model
from mmp2seg.codecs.data_samples import image_points
from mmp2seg.models.distillation import NetworkMaps
from mmp2seg.registry import DATASETS, MODELS
from mmp2seg.visualization.training_panels import RefinedTargets


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


def build_train_dataset(cfg: Config) -> BaseDataset:
    """Build the dataset of the training, with its augmentation and its wrappers.

    Raises:
        CommandError: the config has no train_dataloader.
    """
    if cfg.get('train_dataloader') is None:
        raise CommandError(f'{cfg.filename}: the config has no train_dataloader')
    return DATASETS.build(copy.deepcopy(cfg.train_dataloader.dataset))


def input_as_rgb(cfg: Config, inputs: torch.Tensor) -> np.ndarray:
    """Return the ``(3, H, W)`` input of a network, before its normalisation, as RGB picture."""
    pixels = inputs.permute(1, 2, 0).clamp(0, 255).to(torch.uint8).numpy()
    is_rgb = (stage1_model(cfg).get('data_preprocessor') or {}).get('rgb_to_bgr', False)
    return np.ascontiguousarray(pixels if is_rgb else pixels[..., ::-1])


@torch.no_grad()
def refined_targets(model: BaseModel, item: dict) -> RefinedTargets | None:
    """Compute the refined targets of a training image, as late in the training as possible.

    The network is in evaluation mode: its normalisation does not depend on a batch. The semantic
    map S is returned even if only the instances are made of it in the training.

    Args:
        model: a P2Seg in evaluation mode.
        item: ``inputs`` and ``data_samples`` of the train dataset; not changed.

    Returns:
        RefinedTargets: without the padding of a batch; None if the distiller refines nothing.
    """
    sample = item['data_samples'].clone()
    height, width = item['inputs'].shape[-2:]
    model.data_preprocessor.batch_augments = None  # they would change the size of the image
    batch = model.data_preprocessor(
        pseudo_collate([dict(inputs=item['inputs'], data_samples=sample)]), True
    )
    inputs, (sample,) = batch['inputs'], batch['data_samples']
    size = tuple(inputs.shape[-2:])
    logits, offset, embedding = model._forward(inputs)
    padding = torch.ones(1, *size, dtype=torch.bool, device=inputs.device)
    padding[:, :height, :width] = False
    distiller = copy.copy(model.distiller)
    if distiller.semantic_use == 'offset':
        distiller.semantic_use, distiller.semantic_begin = 'semantic', 0  # S alone is added
    targets = distiller.distill(
        NetworkMaps(
            logits,
            model.offset_head.predict_by_feat(offset, size),
            embedding,
            model.semantic_head.align_corners,
            inputs=inputs,
        ),
        sample.gt_sem_seg.sem_seg,
        [image_points(sample)],
        iteration=sys.maxsize,
        padding=padding,
    )
    if len(targets.offsets) == 1:
        return None
    offset, weight = (
        values[0, ..., :height, :width].cpu().numpy() for values in targets.offsets[1]
    )
    semantic_map = None
    if len(targets.semantic_maps) == 2:
        semantic_map = targets.semantic_maps[1][0, :height, :width].cpu().numpy()
    instance_map = targets.instance_maps[0, 1, :height, :width].cpu().numpy()
    return RefinedTargets(instance_map, offset, weight, semantic_map)


def spread_indices(length: int, num: int) -> list[int]:
    """Return up to ``num`` evenly spaced indices of ``0..length - 1``, with the first and last."""
    return np.linspace(0, length - 1, min(num, length)).round().astype(int).tolist()
