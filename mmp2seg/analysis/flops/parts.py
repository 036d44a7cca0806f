"""Attribute operations or seconds to the parts of a P2Seg network."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from mmp2seg.models.detectors import P2Seg
from mmp2seg.models.distillation import semantic_scorer
from mmp2seg.models.losses import affinity_loss

PROPAGATION = 'propagation'
GROUPING = 'grouping'
TARGETS = 'targets'
AFFINITY_LOSS = 'affinity loss'
BACKWARD = 'backward'
OTHER = 'other'  # upsampling, softmax, rescaling to the image, boxes

# Attributes of the network by name of the part, in the order of the table.
MODULES = {
    'preprocessing': 'data_preprocessor',
    'backbone': 'backbone',
    'neck': 'neck',
    'semantic head': 'semantic_head',
    'offset head': 'offset_head',
    'affinity head': 'affinity_head',
    'losses': 'mdm_loss',
}
TEST_PARTS = (*[name for name in MODULES if name != 'losses'], PROPAGATION, GROUPING, OTHER)
TRAIN_PARTS = (
    *[name for name in MODULES if name != 'losses'],
    *(TARGETS, PROPAGATION, AFFINITY_LOSS, 'losses', BACKWARD, OTHER),
)


class PartMeter:
    """Add the increase of a reading to the part that runs; an outer part excludes its inner parts.

    Args:
        read: returns values by name, which never decrease.

    Attributes:
        parts: increase of each value by part; :data:`OTHER` is outside of all parts.
    """

    def __init__(self, read: Callable[[], Mapping[str, float]]) -> None:
        self.parts: dict[str, Counter] = defaultdict(Counter)
        self._read = read
        self._running = [OTHER]
        self._last = Counter(read())

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Attribute what runs in this context to the part ``name``."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def enter(self, name: str) -> None:
        self.settle()
        self._running.append(name)

    def leave(self) -> None:
        self.settle()
        self._running.pop()

    def settle(self) -> None:
        """Add the increase since the last reading to the part that runs."""
        now = Counter(self._read())
        self.parts[self._running[-1]].update(now - self._last)
        self._last = now


def clock(device: str) -> Callable[[], dict[str, float]]:
    """Return a reading of the time in ``seconds``, after pending work on the device."""

    def read() -> dict[str, float]:
        if device == 'cuda':
            torch.cuda.synchronize()
        return dict(seconds=time.perf_counter())

    return read


@contextmanager
def metered(model: P2Seg, read: Callable[[], Mapping[str, float]]) -> Iterator[PartMeter]:
    """Meter the parts of ``model``; the model is restored afterwards."""
    meter = PartMeter(read)
    functions = (
        (semantic_scorer, 'propagate', PROPAGATION),
        (affinity_loss, 'pair_loss', AFFINITY_LOSS),
        (model.decoder, 'decode', GROUPING),
        (model.distiller, 'distill', TARGETS),
    )
    with ExitStack() as stack:
        for name, attribute in MODULES.items():
            module = getattr(model, attribute)
            if module is not None:
                _hook(module, name, meter, stack)
        for owner, attribute, name in functions:
            stack.enter_context(_wrapped(owner, attribute, name, meter))
        yield meter
        meter.settle()


def _hook(module: nn.Module, name: str, meter: PartMeter, stack: ExitStack) -> None:
    # Runs before other hooks of the module, so that their work is not attributed to the module.
    handles = (
        module.register_forward_pre_hook(lambda *_: meter.enter(name)),
        module.register_forward_hook(lambda *_: meter.leave(), always_call=True, prepend=True),
    )
    for handle in handles:
        stack.callback(handle.remove)


@contextmanager
def _wrapped(owner: object, attribute: str, name: str, meter: PartMeter) -> Iterator[None]:
    """Attribute calls of ``owner.attribute`` to the part ``name``."""
    original = getattr(owner, attribute)
    own = attribute in vars(owner)  # False for a method, which belongs to the class

    def call(*args: object, **options: object) -> object:
        with meter.part(name):
            return original(*args, **options)

    setattr(owner, attribute, call)
    try:
        yield
    finally:
        if own:
            setattr(owner, attribute, original)
        else:
            delattr(owner, attribute)
