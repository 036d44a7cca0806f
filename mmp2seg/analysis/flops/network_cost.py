"""Operations and time of a stage-1 network for an image (table 11 of the paper)."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from mmp2seg.analysis.benchmarks import network
from mmp2seg.analysis.benchmarks.measuring import Settings, time_calls
from mmp2seg.analysis.benchmarks.scene import Scene, make_scene, training_sample
from mmp2seg.analysis.flops import parts as flops_parts
from mmp2seg.analysis.flops.counter import ELEMENTWISE, counting, macs
from mmp2seg.analysis.flops.parts import PartMeter, metered
from mmp2seg.analysis.tables import format_count
from mmp2seg.models.detectors import P2Seg
from mmp2seg.registry import MODELS

PHASES = ('test', 'train')
TOTAL = 'all'
# Terms of a part that the table lists, and the operations of each.
_TERMS = {
    flops_parts.PROPAGATION: {'F^T F': ('mm',), 'A^beta C': ('addmm_',)},
    flops_parts.AFFINITY_LOSS: {'F^T F': ('mm',), 'gradient and sum': ('addmm_', 'dot')},
}


@dataclass(frozen=True)
class FlopsCase:
    """The case to measure.

    Attributes:
        config: path of a stage-1 config.
        cfg_options: settings of the config to replace, by dotted key.
        shape: (H, W) of the image; the network's input is padded as the config says.
        points: points of an image.
        batch: images of a batch.
        phase: ``'test'``, inference from the image to the masks, or ``'train'``, forward pass,
            targets, losses and backward pass, without the optimizer's step.
        rounds: rounds of propagation at inference, one network each.

    Raises:
        ValueError: for an unknown phase or a number out of range.
    """

    config: str
    cfg_options: Mapping = field(default_factory=dict)
    shape: tuple[int, int] = (375, 500)
    points: int = 12
    batch: int = 1
    phase: str = 'test'
    rounds: tuple[int, ...] = (0, 1)

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise ValueError(f'expected phase in {PHASES}, got {self.phase!r}')
        for name in ('points', 'batch'):
            if getattr(self, name) < 1:
                raise ValueError(f'expected {name} >= 1, got {getattr(self, name)}')
        if min(self.shape) < 1:
            raise ValueError(f'expected a shape of at least 1 x 1, got {self.shape}')
        if not self.rounds or min(self.rounds) < 0:
            raise ValueError(f'expected rounds >= 0, got {list(self.rounds)}')


@dataclass(frozen=True)
class PartCost:
    """The cost of a part for one image.

    Attributes:
        name: see :mod:`mmp2seg.analysis.flops.parts`; :data:`TOTAL` is the whole network.
        params: number of parameters.
        macs: multiply-adds of convolutions and matrix products.
        elementwise: other operations, see :func:`mmp2seg.analysis.flops.counter.counting`.
        seconds: median; None = not measured.
        terms: multiply-adds of the part's terms, by name.
    """

    name: str
    params: int
    macs: float
    elementwise: float
    seconds: float | None = None
    terms: Mapping[str, float] = field(default_factory=dict)

    @property
    def flops(self) -> float:
        """Operations; a multiply-add counts as two."""
        return 2 * self.macs + self.elementwise

    def as_dict(self) -> dict:
        """Plain values for a json."""
        return {**asdict(self), 'flops': self.flops}


@dataclass(frozen=True)
class NetworkCost:
    """The cost of a network for one image.

    Attributes:
        name: of the variant.
        input_shape: (H, W) of the backbone's input.
        embedding_shape: (D, h, w) of the affinity head, None without one.
        num_scores: semantic scores of a propagation, including the background's.
        rounds: rounds of propagation at inference.
        parts: in the order of the table, :data:`TOTAL` last.
    """

    name: str
    input_shape: tuple[int, int]
    embedding_shape: tuple[int, int, int] | None
    num_scores: int
    rounds: int
    parts: tuple[PartCost, ...]

    def part(self, name: str) -> PartCost:
        """Return the part of this name."""
        return next(part for part in self.parts if part.name == name)

    def as_dict(self) -> dict:
        """Plain values for a json."""
        return {**vars(self), 'parts': [part.as_dict() for part in self.parts]}


def measure_networks(
    case: FlopsCase,
    settings: Settings | None,
    *,
    on_start: Callable[[str], object] = lambda name: None,
) -> list[NetworkCost]:
    """Measure the network without its affinity head (BESTIE's row of table 11) and with it.

    At inference, the network with the affinity head is measured for each of ``case.rounds``; in
    training, with the rounds of the config. A config without affinity head gives one network.

    Args:
        case: what to measure.
        settings: how to measure the time; None counts operations only.
        on_start: called with the name of each network before it is measured.

    Raises:
        ValueError: for a config of another model.
    """
    options = dict(config=case.config, cfg_options=case.cfg_options)
    model_cfg = network.load_config(options).model
    if MODELS.get(model_cfg.type) is not P2Seg:
        raise ValueError(
            f'{case.config}: expected a stage-1 config (model.type mmp2seg.P2Seg), '
            f'got {model_cfg.type}'
        )
    costs = []
    for name, variant in _variants(model_cfg, case).items():
        on_start(name)
        costs.append(_measure_network(name, variant, case, settings))
    return costs


def count_parts(model: P2Seg, call: Callable[[PartMeter], object]) -> dict[str, Counter]:
    """Count the operations of ``call`` by part of ``model``, on the CPU.

    Args:
        model: afterwards as before, except for changes by ``call``.
        call: takes the meter, so that it can define further parts.

    Returns:
        dict: readings of :class:`mmp2seg.analysis.flops.counter.OperationCount` by part.
    """
    with counting() as count, metered(model, count.read) as meter:
        call(meter)
    return dict(meter.parts)


def make_call(model: P2Seg, samples: Sequence[dict], phase: str) -> Callable[[PartMeter], object]:
    """Return a call for :func:`count_parts`: inference or a training pass of a batch."""
    if phase == 'test':
        model.eval()
        return lambda meter: _infer(model, samples)
    model.train()
    return lambda meter: _train(model, samples, meter)


def _infer(model: P2Seg, samples: Sequence[dict]) -> None:
    with torch.no_grad():
        model.test_step(pseudo_collate(samples))


def _train(model: P2Seg, samples: Sequence[dict], meter: PartMeter) -> None:
    """Run a training pass; the gradients are discarded, and ``.grad`` does not change."""
    data = model.data_preprocessor(pseudo_collate(samples), True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    params = [param for param in model.parameters() if param.requires_grad]
    with meter.part(flops_parts.BACKWARD):
        torch.autograd.grad(loss, params, allow_unused=True)


def _variants(model_cfg: Config, case: FlopsCase) -> dict[str, dict]:
    """Model configs by name of the network."""
    plain = model_cfg.to_dict()
    plain['test_cfg'] = {**(plain.get('test_cfg') or {}), 'rounds': 0}
    variants = {'without affinity': {**plain, 'affinity_head': None}}
    if plain.get('affinity_head') is None:
        return variants
    if case.phase == 'train':
        return {**variants, 'with affinity': plain}
    for rounds in case.rounds:
        name = f'with affinity, {format_count(rounds, "round")}'
        variants[name] = {**plain, 'test_cfg': {**plain['test_cfg'], 'rounds': rounds}}
    return variants


def _measure_network(
    name: str, model_cfg: Mapping, case: FlopsCase, settings: Settings | None
) -> NetworkCost:
    """Count operations on the CPU, and measure time on the device of ``settings``."""
    num_classes = model_cfg['semantic_head']['num_classes']
    scene = make_scene(case.points, case.shape, num_classes=num_classes)
    samples = [training_sample(scene) for _ in range(case.batch)]
    model = _build(model_cfg, scene, device='cpu')
    shapes: dict[str, tuple] = {}
    _note_shape(model.backbone, shapes, 'input', of_input=True)
    if model.affinity_head is not None:
        _note_shape(model.affinity_head, shapes, 'embedding')
    call = make_call(model, samples, case.phase)
    call(PartMeter(dict))  # the scene's maps are resized in the first call
    counts = count_parts(model, call)
    seconds: dict[str, float] = {}
    if settings is not None:
        if settings.device != 'cpu':
            model = _build(model_cfg, scene, device=settings.device)
        seconds = _time_parts(model, samples, case.phase, settings)
    return NetworkCost(
        name,
        input_shape=shapes['input'][1:],
        embedding_shape=shapes.get('embedding'),
        num_scores=len(np.unique(scene.labels)) + 1,  # those of the image's classes
        rounds=model.test_cfg['rounds'] if case.phase == 'test' else 0,
        parts=_part_costs(model, counts, seconds, case),
    )


def _build(model_cfg: Mapping, scene: Scene, *, device: str) -> P2Seg:
    """Build the network, always with the same random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return network.build_network(model_cfg, scene, device=device)


def _note_shape(
    module: torch.nn.Module, shapes: dict, name: str, *, of_input: bool = False
) -> None:
    """Note the (C, H, W) of a module's next input or output."""

    def note(_: object, inputs: tuple, output: torch.Tensor) -> None:
        shapes[name] = tuple((inputs[0] if of_input else output).shape[1:])
        handle.remove()

    handle = module.register_forward_hook(note)


def _time_parts(
    model: P2Seg, samples: Sequence[dict], phase: str, settings: Settings
) -> dict[str, float]:
    """Median seconds of each part, and of the whole network without meters."""
    call = make_call(model, samples, phase)
    read = flops_parts.clock(settings.device)
    idle = PartMeter(dict)
    whole = time_calls(lambda: call(idle), settings)
    runs = []
    for _ in range(settings.repeat):
        with metered(model, read) as meter:
            call(meter)
        runs.append({name: found['seconds'] for name, found in meter.parts.items()})
    names = set().union(*runs)
    seconds = {name: statistics.median(run.get(name, 0.0) for run in runs) for name in names}
    return {**seconds, TOTAL: whole.median}


def _part_costs(
    model: P2Seg,
    counts: Mapping[str, Counter],
    seconds: Mapping[str, float],
    case: FlopsCase,
) -> tuple[PartCost, ...]:
    """Costs per image of the parts that ran, in the order of the table, and in total."""
    names = flops_parts.TEST_PARTS if case.phase == 'test' else flops_parts.TRAIN_PARTS
    parts = []
    for name in names:
        if name not in counts:
            continue
        found, module = counts[name], getattr(model, flops_parts.MODULES.get(name, ''), None)
        terms = _TERMS.get(name, {})
        parts.append(
            PartCost(
                name,
                params=0 if module is None else sum(p.numel() for p in module.parameters()),
                macs=macs(found) / case.batch,
                elementwise=found[ELEMENTWISE] / case.batch,
                seconds=seconds[name] / case.batch if name in seconds else None,
                terms={
                    term: sum(found[key] for key in keys) / case.batch
                    for term, keys in terms.items()
                },
            )
        )
    total = PartCost(
        TOTAL,
        params=sum(param.numel() for param in model.parameters()),
        macs=sum(part.macs for part in parts),
        elementwise=sum(part.elementwise for part in parts),
        seconds=seconds[TOTAL] / case.batch if seconds else None,
    )
    return (*parts, total)
