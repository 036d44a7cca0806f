"""Tell whether a checkpoint holds Python objects, which can run code when they are loaded."""

import contextlib
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.runner import checkpoint as mmengine_checkpoint

from mmp2seg.files.image_folder import shorten_names

_SHOWN_NAMES = 3


class UnsafeCheckpointError(ValueError):
    """A checkpoint holds Python objects; the message names the file and what to do."""


def require_weights(path: str | Path) -> None:
    """Check that a file of ``torch.save`` holds only what torch and mmengine know to be harmless.

    Nothing of the file is executed. Whatever this does not see,
    :func:`mmp2seg.files.weights_only.weights_only` refuses while it is loaded.

    Args:
        path: a local file; other files than checkpoints pass.

    Raises:
        UnsafeCheckpointError: it holds other objects.
    """
    with _known_objects():
        names = _unsafe_names(path)
    if names:
        raise UnsafeCheckpointError(
            f'{path}: expected weights, got Python objects, which can run code when they are '
            f'loaded: {shorten_names(names, shown=_SHOWN_NAMES)}. Checkpoints of the released '
            'P2Seg code: tools/model_converters/released_to_mmp2seg.py. A file of your own: '
            '--trust-checkpoint'
        )


def _unsafe_names(path: str | Path) -> list[str]:
    try:
        if zipfile.is_zipfile(path):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(str(path)))
    except Exception:  # a broken zip, or one that is no checkpoint: torch has no common error
        return []
    try:  # of torch before 1.6
        torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r'GLOBAL ([\w.]+)', str(error))
        return [found[1]] if found else []
    except Exception:  # it is no checkpoint
        return []
    return []


@contextlib.contextmanager
def _known_objects() -> Iterator[None]:
    """Let torch accept what mmengine saves: the history of losses."""
    listed = getattr(mmengine_checkpoint, 'get_torch_safe_globals', None)
    with torch.serialization.safe_globals([] if listed is None else listed()):
        yield
