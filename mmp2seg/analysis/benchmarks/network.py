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
from mmp2seg.files.config_reading import read_config
from mmp2seg.registry import MODELS

# Changes of the model config by name of the training step.
STEPS = {
    'without I2S': dict(affinity_head=None),
    'a round with guided affinity': dict(affinity_head=None, guided=True),
    'both affinity losses': dict(rounds=0),
    'both losses, one round': dict(rounds=1),
}

# Of a config that has none.
_TRAINING_SCORER = dict(affinity=dict(type='mmp2seg.GuidedAffinity', dilations=(1, 2)), stride=4)


def make_training_step(options: Mapping) -> Callable[[], object]:
    """Return a call with forward pass, losses, backward pass and optimizer step of a batch.

    Args:
        options: ``config``, path of a stage-1 config; ``cfg_options``, settings to replace, by
            dotted key; ``step``, a key of :data:`STEPS`; ``size``, side of the image; ``batch``,
            number of images, all the same; ``points``; ``device``; ``dense``, use the dense
            affinity instead of the streamed one.
    """
    cfg = load_config(options)
    _choose_step(cfg.model, options['step'])
    size = (options['size'], options['size'])
    scene = make_scene(options['points'], size, num_classes=cfg.model.semantic_head.num_classes)
    model = build_network(cfg.model, scene, device=options['device']).train()
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batch = pseudo_collate([training_sample(scene) for _ in range(options['batch'])])

    def step() -> object:
        with dense_affinity() if options['dense'] else nullcontext():
            return model.train_step(batch, optim_wrapper)

    return step


def make_inference(options: Mapping) -> Callable[[], object]:
    """Return a call for inference of one image.

    Args:
        options: ``config``, ``cfg_options``, ``points`` and ``device``, see
            :func:`make_training_step`; ``size``, (H, W); ``rounds`` of propagation by the pairwise
            affinity; ``guided``, propagate instance scores by the guided affinity instead.
    """
    cfg = load_config(options)
    _propagate_at_inference(cfg.model, rounds=options['rounds'], guided=options['guided'])
    num_classes = cfg.model.semantic_head.num_classes
    scene = make_scene(options['points'], tuple(options['size']), num_classes=num_classes)
    model = build_network(cfg.model, scene, device=options['device']).eval()
    sample = training_sample(scene)

    def infer() -> object:
        with torch.no_grad():
            return model.test_step(pseudo_collate([sample]))

    return infer


def build_network(model_cfg: Mapping, scene: Scene, *, device: str) -> BaseModel:
    """Build a network with random weights and, for the scene, outputs like a trained network's.

    Hooks add maps to the outputs of the heads, at almost no cost. Convolutions, losses and
    gradients are those of the network.

    Args:
        model_cfg: of a :class:`mmp2seg.models.P2Seg`.
        scene: the image to run the network on.
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
    """Forward hook that adds a map, resized to the output."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def __call__(self, module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        size = tuple(output.shape[-2:])
        if self.values.shape[-2:] != size:
            self.values = F.interpolate(self.values, size=size, mode='nearest-exact')
        return output + self.values


def load_config(options: Mapping) -> Config:
    """Load ``options['config']`` with ``options['cfg_options']``, without pretrained weights."""
    cfg = read_config(options['config'], options=options['cfg_options'])
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    cfg.model.backbone.init_cfg = None
    return cfg


def _choose_step(model_cfg: Config, name: str) -> None:
    """Set a model config to a training step of :data:`STEPS`, active from the first iteration."""
    change = STEPS[name]
    if 'affinity_head' in change:
        model_cfg.affinity_head = None
    distiller = dict(model_cfg.get('distiller') or dict(type='mmp2seg.MutualDistiller'))
    guided = change.get('guided', False)
    scorer = distiller.get('instance_scorer') or _TRAINING_SCORER
    if distiller.get('semantic_use', 'offset') == 'none' or not guided:
        distiller['semantic_use'] = 'semantic' if guided else 'offset'
    model_cfg.distiller = {
        **distiller,
        'instance_scorer': scorer if guided else None,
        'rounds': change.get('rounds', 0),
        **dict.fromkeys(['refine_begin', 'propagate_begin', 'semantic_begin'], 0),
    }
    _propagate_at_inference(model_cfg, rounds=0)


def _propagate_at_inference(model_cfg: Config, *, rounds: int, guided: bool = False) -> None:
    """Let inference use the network's scores, propagated ``rounds`` times or as instances."""
    test_cfg = dict(model_cfg.get('test_cfg') or {})
    decoder = {**(test_cfg.get('decoder') or {}), 'scorer': None}
    if guided:
        decoder['scorer'] = dict(affinity=dict(type='mmp2seg.GuidedAffinity'))
    options = dict(rounds=rounds, use_weak_map=False, decoder=decoder)
    model_cfg.test_cfg = {**test_cfg, **options}
