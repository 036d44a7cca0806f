"""Worker processes of data loaders."""

import ctypes
import os
import random
import signal
import sys

import numpy as np
from torch.utils.data import get_worker_info

from mmp2seg.registry import FUNCTIONS

_PR_SET_PDEATHSIG = 1  # man 2 prctl


@FUNCTIONS.register_module()
def init_worker(worker_id: int) -> None:
    """Seed a worker process and, on Linux, let it die with the training process.

    Ctrl-C reaches all processes of a terminal. The training process ends its workers, so that they
    ignore it and print no traceback. A worker that waits to write to a full pipe does not see that
    its parent was killed, and would live on.

    Args:
        worker_id: its number.
    """
    info = get_worker_info()
    seed = (info.seed if info is not None else worker_id) % 2**32
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the state that transforms use
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == 'linux':
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was killed in between
            os._exit(1)
