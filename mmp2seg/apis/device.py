"""Select the device, and adapt configs to machines without CUDA, for one or several processes.

mmengine itself supports a single process in float32 on CPU. This module adds several processes over
gloo, batch norm in place of SyncBN, and bfloat16 in place of CUDA's mixed precision.
"""

import argparse
import atexit
import datetime
import gc
import importlib
import os
from typing import TYPE_CHECKING

from mmp2seg.apis.arguments import CommandError, add_device_argument

if TYPE_CHECKING:
    # At run time, the functions import mmengine and torch: mmengine must not be imported before
    # select_device, and importing torch takes seconds.
    from mmengine.config import Config

SYNC_BN_TYPES = ('SyncBN', 'MMSyncBN', 'naiveSyncBN')
DDP_TYPES = ('MMDistributedDataParallel', 'DistributedDataParallel')


def select_device(argv: list[str]) -> str:
    """Read ``--device`` from a command line and apply it; return the option's value.

    Call it before mmengine is imported: mmengine looks for CUDA devices on import and caches the
    result. ``cpu`` hides the CUDA devices from this process and its children.

    Raises:
        CommandError: the option is ``cuda`` and there is no CUDA device.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_device_argument(parser)
    device = parser.parse_known_args(argv)[0].device
    if device == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
    elif device == 'cuda' and resolve_device('auto') != 'cuda':
        raise CommandError('--device cuda: no CUDA device was found')
    return device


def resolve_device(device: str) -> str:
    """Return torch's device name, 'cuda' or 'cpu', for a value of ``--device``."""
    if device != 'auto':
        return device
    import torch

    return 'cuda' if torch.cuda.is_available() else 'cpu'


def adapt_config_to_cpu(cfg: 'Config') -> list[str]:
    """Change ``cfg`` in place so that mmengine's Runner trains and tests it on CPU.

    Returns:
        One log line per change; an empty list if nothing changed.

    Raises:
        CommandError: the launcher is neither 'none' nor 'pytorch'.
    """
    notes = []
    count = _replace_sync_bn(cfg.get('model'))
    if count or cfg.get('sync_bn') is not None:
        cfg.sync_bn = None
        notes.append(f'SyncBN needs CUDA: replaced by BN ({count} in the config)')
    notes += _replace_amp(cfg)
    launcher = cfg.get('launcher', 'none')
    if launcher == 'pytorch':
        cfg.merge_from_dict({'env_cfg': {'dist_cfg': {'backend': 'gloo'}}})
        cfg.model_wrapper_cfg = _cpu_model_wrapper(cfg)
        notes.append('distributed on CPU: the processes communicate over gloo')
    elif launcher != 'none':
        raise CommandError(
            f'--launcher {launcher} needs CUDA; on CPU use --launcher pytorch (tools/dist_train.sh)'
        )
    return notes


def init_cpu_process_group(cfg: 'Config') -> None:
    """Join the gloo process group that the pytorch launcher's environment variables describe.

    mmengine's ``init_dist`` would call ``torch.cuda.set_device``, but its Runner skips
    ``init_dist`` if a process group exists. This function does nothing if a group exists. The
    process leaves the group when it exits.

    Raises:
        CommandError: environment variables are missing; the message names them.
    """
    from torch import distributed

    if distributed.is_initialized():
        return
    missing = [
        name
        for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT')
        if name not in os.environ
    ]
    if missing:
        raise CommandError(
            f'--launcher pytorch: {", ".join(missing)} not set; start through tools/dist_train.sh '
            'or torchrun'
        )
    options = {}
    timeout = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
    if timeout is not None:
        options['timeout'] = datetime.timedelta(seconds=timeout)
    for name in ('nn', 'optim'):
        # These modules have functions with the group as a default argument. Imported later, they
        # would hold on to the group.
        importlib.import_module(f'torch.distributed.{name}')
    distributed.init_process_group(backend='gloo', **options)
    atexit.register(_leave_process_group)


def _leave_process_group() -> None:
    """Stop gloo's threads, which can abort the interpreter if it exits before they do.

    The threads end with the last reference to the group. The runner's model wrapper holds one, and
    the runner is in reference cycles: only a collection frees it.
    """
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()
        gc.collect()


def _replace_sync_bn(node: object) -> int:
    """Replace every SyncBN norm config below ``node`` by BN, in place; return their number."""
    if isinstance(node, dict):
        count = sum(_replace_sync_bn(value) for value in node.values())
        kind = node.get('type')
        if isinstance(kind, str) and kind.split('.')[-1] in SYNC_BN_TYPES:
            node['type'] = 'BN'
            node.pop('group', None)
            node.pop('stats_mode', None)
            count += 1
        return count
    if isinstance(node, (list, tuple)):
        return sum(_replace_sync_bn(value) for value in node)
    return 0


def _replace_amp(cfg: 'Config') -> list[str]:
    """Replace CUDA's mixed precision by bfloat16 autocast, which needs no loss scale."""
    wrapper = cfg.get('optim_wrapper')
    kind = wrapper.get('type') if wrapper else None
    if not isinstance(kind, str) or kind.split('.')[-1] != 'AmpOptimWrapper':
        return []
    # registers the type
    import mmp2seg.engine.optim_wrappers  # noqa: F401

    wrapper.type = 'CPUAmpOptimWrapper'
    for key in ('loss_scale', 'dtype', 'use_fsdp'):
        wrapper.pop(key, None)
    return ['mixed precision on CPU: bfloat16 autocast, no loss scaling']


def _cpu_model_wrapper(cfg: 'Config') -> dict:
    """Return the config's model wrapper (default: the Runner's), changed for modules on the CPU."""
    wrapper = cfg.get('model_wrapper_cfg')
    if wrapper is None:
        wrapper = dict(
            type='MMDistributedDataParallel',
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
    if wrapper.get('type', DDP_TYPES[0]) in DDP_TYPES:
        # otherwise the Runner passes [LOCAL_RANK], which DDP rejects for modules on the CPU
        wrapper['device_ids'] = None
    return wrapper
