"""Training steps and inference of a network, on a synthetic image."""

import logging
from collections.abc import Callable, Mapping
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.model import BaseModel, revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from mmp2seg.analysis.benchmarks.affinity import dense_affinity
from mmp2seg.analysis.benchmarks.scene import Scene, make_scene, network_maps, training_sample
from mmp2seg.registry import MODELS

# Training steps by name: what they change in a model's config.
STEPS = {
    'without I2S': dict(affinity_head=None),
    'both affinity losses': dict(rounds=0),
    'both losses, one round': dict(rounds=1),
}


def make_training_step(options: Mapping) -> Callable[[], object]:
    """Forward pass, losses, backward pass and optimizer step of a batch of one image.

    Args:
        options: ``config``, path of a stage-1 config; ``cfg_options``, settings of it to replace,
            by dotted key; ``step``, of :data:`STEPS`; ``size``, of the square image; ``points``;
            ``device``; ``dense``, with the dense reference in place of the streamed affinity.
    """
    cfg = load_config(options)
    _choose_step(cfg.model, options['step'])
    size = (options['size'], options['size'])
    scene = make_scene(options['points'], size, num_classes=cfg.model.semantic_head.num_classes)
    model = build_network(cfg.model, scene, device=options['device']).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batch = pseudo_collate([training_sample(scene)])

    def step() -> object:
        with dense_affinity() if options['dense'] else nullcontext():
            return model.train_step(batch, optim_wrapper)

    return step


def make_inference(options: Mapping) -> Callable[[], object]:
    """Inference of one image.

    Args:
        options: ``config``, ``cfg_options``, ``points`` and ``device`` as of
            :func:`make_training_step`; ``size``, (H, W); ``rounds`` of propagation.
    """
    cfg = load_config(options)
    _propagate_at_inference(cfg.model, rounds=options['rounds'])
    num_classes = cfg.model.semantic_head.num_classes
    scene = make_scene(options['points'], tuple(options['size']), num_classes=num_classes)
    model = build_network(cfg.model, scene, device=options['device']).eval()
    sample = training_sample(scene)

    def infer() -> object:
        with torch.no_grad():
            return model.test_step(pseudo_collate([sample]))

    return infer


def build_network(model_cfg: Mapping, scene: Scene, *, device: str) -> BaseModel:
    """A network with random weights whose heads put out what a trained one would for the scene.

    Its maps are added to the heads' outputs, which costs next to nothing, while the convolutions,
    losses and gradients are the network's own.

    Args:
        model_cfg: of a :class:`mmp2seg.models.P2Seg`.
        scene: the image that it is going to see.
        device: 'cpu' or 'cuda'.
    """
    MMLogger.get_current_instance().setLevel(logging.WARNING)  # not a line per parameter
    model = revert_sync_batchnorm(MODELS.build(model_cfg))
    model.init_weights()
    heads = [model.semantic_head, model.offset_head, model.affinity_head]
    channels = 1 if model.affinity_head is None else model_cfg['affinity_head']['channels']
    num_classes = model.semantic_head.num_classes
    maps = network_maps(scene, num_classes=num_classes, channels=channels)
    for head, values in zip(heads, maps):
        if head is not None:
            head.register_forward_hook(_AddToOutput(values.to(device)))
    return model.to(device)


class _AddToOutput:
    """Forward hook that adds a map, at the output's size."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __call__(self, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        size = tuple(output.shape[-2:])
        if self.values.shape[-2:] != size:
            self.values = F.interpolate(self.values, size=size, mode='nearest-exact')
        return output + self.values


def load_config(options: Mapping) -> Config:
    """The config ``options['config']`` with ``options['cfg_options']``, for random weights."""
    cfg = Config.fromfile(options['config'])
    cfg.merge_from_dict(dict(options['cfg_options']))
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    cfg.model.backbone.init_cfg = None
    return cfg


def _choose_step(model_cfg: Config, name: str) -> None:
    """Change a model's config to a training step of :data:`STEPS`, all of it from the start."""
    change = STEPS[name]
    if 'affinity_head' in change:
        model_cfg.affinity_head = None
    distiller = dict(model_cfg.get('distiller') or dict(type='mmp2seg.MutualDistiller'))
    if distiller.get('semantic_use') == 'none':
        distiller['semantic_use'] = 'offset'
    model_cfg.distiller = {
        **distiller,
        'rounds': change.get('rounds', 0),
        **dict.fromkeys(['refine_begin', 'propagate_begin', 'semantic_begin'], 0),
    }
    _propagate_at_inference(model_cfg, rounds=0)


def _propagate_at_inference(model_cfg: Config, *, rounds: int) -> None:
    """Let inference read the network's own scores, propagated so often."""
    test_cfg = dict(model_cfg.get('test_cfg') or {})
    model_cfg.test_cfg = {**test_cfg, 'rounds': rounds, 'use_weak_map': False}
