"""Convert checkpoints of the released P2Seg code to our format.

Both released networks are supported: HRNet-48 and ResNet-101. The centre head, which inference does
not use, is dropped; all other entries are renamed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmp2seg.files.atomic_write import replaced_file
from mmp2seg.files.image_folder import shorten_names
from mmp2seg.registry import MODELS
from mmp2seg.version import __version__

_SHOWN_NAMES = 20

# Layer names in the released code -> ours, for a convolution with norm and for a
# depthwise-separable convolution.
_CONV = {'0.': 'conv.', '1.': 'bn.'}
_SEPARABLE = {
    '0.0.0.': 'depthwise_conv.conv.',
    '0.0.1.': 'depthwise_conv.bn.',
    '0.1.': 'pointwise_conv.conv.',
    '0.2.': 'pointwise_conv.bn.',
}


@dataclass(frozen=True)
class ReleasedNetwork:
    """One of the released networks.

    Attributes:
        title: name of the network in messages.
        prefixes: maps prefixes of released names to our prefixes; no key is a prefix of another
            key.
        dropped: prefix of the released names without a counterpart in our model.
        classifier: released name of the weight whose first axis runs over background and the
            classes.
    """

    title: str
    prefixes: dict[str, str]
    dropped: str
    classifier: str

    def rename(self, name: str) -> str | None:
        """Return our name of a released entry, or None if it is unknown."""
        return _replace_prefix(name, self.prefixes)

    def released_name(self, name: str) -> str:
        """Return the released name of our entry, the inverse of :meth:`rename`."""
        inverse = {ours: released for released, ours in self.prefixes.items()}
        return _replace_prefix(name, inverse) or name


@dataclass(frozen=True)
class Conversion:
    """A released checkpoint under our names.

    Attributes:
        architecture: ``'hrnet48'`` or ``'resnet101'``.
        num_classes: number K of classes without background.
        state_dict: tensors by our names, with offsets in ``(dx, dy)`` order.
        dropped: names of the released entries that are not used.
    """

    architecture: str
    num_classes: int
    state_dict: dict[str, Tensor]
    dropped: list[str]


def _replace_prefix(name: str, prefixes: Mapping[str, str]) -> str | None:
    for old, new in prefixes.items():
        if name.startswith(old):
            return new + name[len(old) :]
    return None


def _nest(old: str, new: str, inner: Mapping[str, str]) -> dict[str, str]:
    """Prepend ``old`` to the released names (keys) of ``inner`` and ``new`` to ours (values)."""
    return {old + released: new + ours for released, ours in inner.items()}


def _hrnet_prefixes() -> dict[str, str]:
    trunk = ['conv1', 'bn1', 'conv2', 'bn2', 'layer1']
    trunk += [f'transition{i}' for i in (1, 2, 3)] + [f'stage{i}' for i in (2, 3, 4)]
    head = {'0.': 'conv.conv.', '2.': 'predictor.'}
    return {
        **{f'{name}.': f'backbone.{name}.' for name in trunk},
        **_nest('seg.', 'semantic_head.', head),
        **_nest('offset.', 'offset_head.', head),
        'aff_conv.': 'affinity_head.conv.',
    }


def _decoder_prefixes(released: str, ours: str) -> dict[str, str]:
    """Return the prefixes of a Panoptic-DeepLab decoder: four ASPP branches, three skip levels."""
    prefixes = {f'{released}.aspp.convs.4.aspp_pooling.1.': f'{ours}.aspp.pooling.conv.'}
    for i in range(4):
        prefixes |= _nest(f'{released}.aspp.convs.{i}.', f'{ours}.aspp.branches.{i}.', _CONV)
    prefixes |= _nest(f'{released}.aspp.project.', f'{ours}.aspp.project.', _CONV)
    for i in range(3):
        prefixes |= _nest(f'{released}.project.{i}.', f'{ours}.projections.{i}.', _CONV)
        prefixes |= _nest(f'{released}.fuse.{i}.', f'{ours}.fusions.{i}.', _SEPARABLE)
    return prefixes


def _resnet_prefixes() -> dict[str, str]:
    prefixes = {'backbone.': 'backbone.'}
    for released, ours in (('semantic', 'semantic'), ('aff', 'affinity'), ('instance', 'offset')):
        prefixes |= _decoder_prefixes(f'decoder.{released}_decoder', f'{ours}_head.decoder')
    for released, ours in (
        ('decoder.semantic_head.classifier.seg.', 'semantic_head.'),
        ('decoder.instance_head.classifier.offset.', 'offset_head.'),
    ):
        prefixes |= _nest(f'{released}0.', f'{ours}conv.', _SEPARABLE)
        prefixes[f'{released}1.'] = f'{ours}predictor.'
    return prefixes


NETWORKS = {
    'hrnet48': ReleasedNetwork(
        title='HRNet-48',
        prefixes=_hrnet_prefixes(),
        dropped='center.',
        classifier='seg.2.weight',
    ),
    'resnet101': ReleasedNetwork(
        title='ResNet-101',
        prefixes=_resnet_prefixes(),
        dropped='decoder.instance_head.classifier.center.',
        classifier='decoder.semantic_head.classifier.seg.1.weight',
    ),
}


def read_released(path: str | Path) -> dict[str, Tensor]:
    """Read the state dict of a released checkpoint without running code from the file.

    The state dict is the entry ``model``, where the released code saves it, or else the whole file.
    A leading ``module.`` is removed from the names.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is not such a checkpoint.
    """
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # torch's errors for broken files have no common base class
        if isinstance(error, OSError) and error.filename is not None:
            raise
        foreign = re.search(r'GLOBAL ([\w.]+)', str(error))
        reason = f', got {foreign[1]}, which may run code' if foreign else ''
        raise ValueError(
            f'{path}: expected a file of torch.save with nothing but tensors{reason}'
        ) from error
    state = content.get('model', content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state:
        raise ValueError(f'{path}: expected a state dict, or one under the key "model"')
    wrong = [
        str(name)
        for name, value in state.items()
        if not (isinstance(name, str) and isinstance(value, Tensor))
    ]
    if wrong:
        names = shorten_names(wrong, shown=_SHOWN_NAMES)
        raise ValueError(f'{path}: expected named tensors only, got also {names}')
    return {name.removeprefix('module.'): value for name, value in state.items()}


def convert_released(state: Mapping[str, Tensor]) -> Conversion:
    """Rename the entries of a released state dict, and reorder offsets from (dy, dx) to (dx, dy).

    Args:
        state: tensors by released names; it is not changed.

    Raises:
        ValueError: the state dict is from another network or has unknown entries.
    """
    architecture = detect_architecture(state)
    network = NETWORKS[architecture]
    if network.classifier not in state:
        raise ValueError(
            f'expected a {network.title} checkpoint with the entry {network.classifier}, got none'
        )
    dropped = [name for name in state if name.startswith(network.dropped)]
    names = {name: network.rename(name) for name in state if name not in set(dropped)}
    unknown = [name for name, ours in names.items() if ours is None]
    if unknown:
        listed = shorten_names(unknown, shown=_SHOWN_NAMES)
        raise ValueError(f'unknown entries in a {network.title} checkpoint: {listed}')
    converted = {ours: state[name] for name, ours in names.items()}
    for name in ('offset_head.predictor.weight', 'offset_head.predictor.bias'):
        if name in converted:
            converted[name] = converted[name].flip(0)  # (2, ...): (dy, dx) -> (dx, dy)
    num_classes = len(state[network.classifier]) - 1
    return Conversion(architecture, num_classes, converted, dropped)


def detect_architecture(state: Mapping[str, Tensor]) -> str:
    """Detect ``'hrnet48'`` or ``'resnet101'`` by the names and shapes of a released state dict.

    Raises:
        ValueError: it belongs to neither network.
    """
    blocks = {match[1] for name in state if (match := re.match(r'backbone\.layer3\.(\d+)\.', name))}
    if any(name.startswith('decoder.') for name in state):
        if len(blocks) == 23:
            return 'resnet101'
        raise ValueError(f'expected ResNet-101, with 23 blocks in layer3, got {len(blocks)}')
    if any(name.startswith('stage4.') for name in state):
        width = state['transition1.0.0.weight'].shape[0] if 'transition1.0.0.weight' in state else 0
        if width == 48:
            return 'hrnet48'
        raise ValueError(f'expected HRNet-48, transition1.0.0.weight with 48 channels, got {width}')
    raise ValueError(
        'expected the released HRNet-48 or ResNet-101 network, got the entries '
        f'{shorten_names(list(state), shown=3)}'
    )


def check_conversion(conversion: Conversion, cfg: Config) -> None:
    """Check that the entries load strictly into a config's model, without initializing weights.

    Args:
        conversion: the converted checkpoint.
        cfg: stage-1 config; its ``num_classes`` is set, in place, to the checkpoint's.

    Raises:
        ValueError: entries are missing, unknown or of another shape; the message lists their
            released names. Also if the config is not a stage-1 config.
    """
    if 'semantic_head' not in (cfg.get('model') or {}):
        raise ValueError(f'expected the config of a stage-1 network, got {cfg.filename}')
    network = NETWORKS[conversion.architecture]
    model = _build_without_memory(cfg, conversion.num_classes)
    state, expected = conversion.state_dict, model.state_dict()
    problems = {
        'missing': [name for name in expected if name not in state],
        'unknown': [name for name in state if name not in expected],
        'of another shape': [
            name for name in state if name in expected and state[name].shape != expected[name].shape
        ],
    }
    found = [
        f'{problem}: {shorten_names(released, shown=_SHOWN_NAMES)}'
        for problem, names in problems.items()
        if (released := [network.released_name(name) for name in names])
    ]
    if found:
        raise ValueError(f'does not fit the {network.title} network; entries ' + '; '.join(found))
    model.load_state_dict(state, strict=True, assign=True)


def _build_without_memory(cfg: Config, num_classes: int) -> nn.Module:
    """Build the model of a config on the meta device."""
    cfg.model.semantic_head.num_classes = num_classes
    with (
        DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')),
        torch.device('meta'),
    ):
        return MODELS.build(cfg.model)


def write_converted(path: str | Path, conversion: Conversion) -> None:
    """Write a checkpoint for mmengine, atomically.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    network = NETWORKS[conversion.architecture]
    meta = dict(
        mmp2seg_version=__version__,
        converted_from=f'released P2Seg, {network.title}',
        num_classes=conversion.num_classes,
        dropped=conversion.dropped,
    )
    with replaced_file(path) as temporary:
        torch.save(dict(meta=meta, state_dict=conversion.state_dict), temporary)
