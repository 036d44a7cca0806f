"""Fail early if pretrained weights of a config are missing or incomplete."""

import logging
import re
from collections.abc import Iterator

from mmengine.logging import MMLogger
from mmengine.model import BaseModule, PretrainedInit
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from mmp2seg.files.image_folder import shorten_names
from mmp2seg.models.package_weights import MissingPackageError

_SHOWN_ENTRIES = 3
# Norms of the maps that a transformer or ConvNeXt returns (norm0, norm1, ...). The weights of a
# classifier do not contain them.
_OUTPUT_NORM = re.compile(r'norm\d+\.')


class PretrainedWeightsError(RuntimeError):
    """Pretrained weights cannot be read or do not match; the message says what to do."""


def require_pretrained(model: nn.Module, *, setting: str = 'model') -> None:
    """Check that the weights of every ``init_cfg`` of type ``Pretrained`` can be read and match.

    mmengine raises an unspecific error if a file cannot be fetched. If some or all entries are
    missing or have another shape, it only logs a warning and continues with random weights. Call
    this function before ``init_weights``; the file is then read again but downloaded once.

    Two kinds of weights are not checked: weights that their module renames on loading
    (``convert_weights`` of mmdet's Swin and PVT), and the norms of a module's outputs.

    Args:
        model: any module, usually the whole network.
        setting: name of ``model`` in its config, for the message.

    Raises:
        PretrainedWeightsError: weights cannot be fetched or read, or lack an entry of the module;
            the message names the module's setting and suggests what to do.
    """
    for name, module in model.named_modules():
        for cfg in _pretrained_cfgs(module):
            place = '.'.join(filter(None, (setting, name, 'init_cfg')))
            try:
                state = _read_weights(cfg['checkpoint'], cfg.get('prefix'))
            except MissingPackageError as error:
                message = f'{place}: {error}; or {_random_start(place)}'
                raise PretrainedWeightsError(message) from error
            except (
                Exception
            ) as error:  # no network, no file, malformed weights, no torchvision, ...
                reason = f'cannot be loaded ({type(error).__name__}: {error})'
                message = _message(place, cfg['checkpoint'], reason)
                raise PretrainedWeightsError(message) from error
            if getattr(module, 'convert_weights', False):
                continue
            unmet = unmet_entries(module, state)
            if unmet:
                total = len(weight_entries(module))
                reason = f'have no entry of the right shape for {len(unmet)} of {total} entries'
                reason = f'{reason}, the first is {unmet[0]}'
                raise PretrainedWeightsError(_message(place, cfg['checkpoint'], reason))


class WrongCheckpointError(ValueError):
    """A checkpoint is of another network or other classes; the message names the file."""


def require_entries(
    module: nn.Module, state: dict[str, Tensor], *, source: str, unused: tuple[str, ...] = ()
) -> None:
    """Check that a state dict has every entry of a module in its shape.

    Args:
        module: the network.
        state: of a checkpoint; a leading ``module.`` of the names does not matter.
        source: name of the checkpoint, for the message.
        unused: prefixes of entries that may be missing.

    Raises:
        WrongCheckpointError: entries are missing or have another shape; the message names the first
            of them.
    """
    state = {name.removeprefix('module.'): value for name, value in state.items()}
    unmet = [name for name in unmet_entries(module, state) if not name.startswith(unused)]
    if unmet:
        raise WrongCheckpointError(
            f'{source}: expected the weights of this config, {len(unmet)} of '
            f'{len(module.state_dict())} entries are missing or have another shape: '
            f'{shorten_names(unmet, shown=_SHOWN_ENTRIES)}'
        )


def init_weights_quietly(model: BaseModule) -> None:
    """Initialise the weights of a model without mmengine's log line for each parameter."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        model.init_weights()
    finally:
        logger.setLevel(level)


def unmet_entries(module: nn.Module, state: dict[str, Tensor]) -> list[str]:
    """Return the names of the entries of a module that a state dict lacks or has in another shape.

    Counters of batches and the norms of a module's outputs may be missing.
    """
    return [
        name
        for name, value in weight_entries(module).items()
        if getattr(state.get(name), 'shape', None) != value.shape
    ]


def _pretrained_cfgs(module: nn.Module) -> Iterator[dict]:
    cfgs = getattr(module, 'init_cfg', None) or []
    for cfg in [cfgs] if isinstance(cfgs, dict) else cfgs:
        if cfg.get('type') in ('Pretrained', PretrainedInit):
            yield cfg


def _read_weights(checkpoint: str, prefix: str | None) -> dict[str, Tensor]:
    """Read the state dict that mmengine's ``PretrainedInit`` would load."""
    content = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu', logger='silent')
    state = content.get('state_dict', content)
    state = {name.removeprefix('module.'): value for name, value in state.items()}
    if prefix is None:
        return state
    prefix = prefix.rstrip('.') + '.'
    return {name[len(prefix) :]: state[name] for name in state if name.startswith(prefix)}


def weight_entries(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and running statistics, but not the optional counters of batches."""
    state = module.state_dict()
    return {
        name: state[name]
        for name in state
        if not (name.endswith('num_batches_tracked') or _OUTPUT_NORM.match(name))
    }


def _message(place: str, checkpoint: str, reason: str) -> str:
    return (
        f'{place}: the pretrained weights {checkpoint} {reason}. Download them on a machine with '
        f'network access and set {place}.checkpoint to the file, or {_random_start(place)}'
    )


def _random_start(place: str) -> str:
    return f'start from random weights with {place}=None'
