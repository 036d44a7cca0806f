"""Let torch load nothing but weights, since a pickle can run any code when it is loaded.

mmengine loads a checkpoint as weights first, and as a pickle if that fails. torch has an
environment variable against the second step; it also holds for other packages that load files.
"""

import contextlib
import os
from collections.abc import Iterator

# Read by torch.load since torch 2.4.
_VARIABLE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
_YES = ('1', 'y', 'yes', 'true')


@contextlib.contextmanager
def weights_only(wanted: bool = True) -> Iterator[None]:
    """Make ``torch.load`` refuse Python objects in this block, and in processes that it starts.

    Args:
        wanted: False: leave everything as it is.
    """
    before = os.environ.get(_VARIABLE)
    if wanted:
        os.environ[_VARIABLE] = '1'
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_VARIABLE, None)
        else:
            os.environ[_VARIABLE] = before


def is_weights_only() -> bool:
    """Return whether torch refuses Python objects."""
    return os.environ.get(_VARIABLE, '').lower() in _YES
