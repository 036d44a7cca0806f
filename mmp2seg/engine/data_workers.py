"""Worker processes of data loaders."""

import ctypes
import os
import random
import signal
import sys
from types import TracebackType

import numpy as np
from torch.utils.data import get_worker_info

from mmp2seg.registry import FUNCTIONS

_PR_SET_PDEATHSIG = 1  # man 2 prctl


@FUNCTIONS.register_module()
def init_worker(worker_id: int) -> None:
    """Seed a worker process and, on Linux, let it die with the training process.

    Ctrl-C reaches all processes of a terminal. The training process ends its workers, so that they
    ignore it and print no traceback (see :func:`report_in_worker`). A worker that waits to write to
    a full pipe does not see that its parent was killed, and would live on.

    Args:
        worker_id: its number.
    """
    info = get_worker_info()
    seed = (info.seed if info is not None else worker_id) % 2**32
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the state that transforms use
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = report_in_worker
    if sys.platform == 'linux':
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed in between
            os._exit(1)


def report_in_worker(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print an error of a worker's thread, unless the training process has only gone away.

    multiprocessing hands tensors over in a thread, and prints the traceback of an ``EOFError`` or a
    ``ConnectionError`` if the training process is interrupted meanwhile. Errors of the dataset do
    not come here: the loader raises them in the training process.
    """
    if not issubclass(kind, EOFError | ConnectionError):
        sys.__excepthook__(kind, error, trace)
