"""Operations and time of a stage-1 network for an image (table 11 of the paper)."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

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
from mmp2seg.analysis.flops.records import TOTAL, FlopsCase, NetworkCost, PartCost
from mmp2seg.models.detectors import P2Seg
from mmp2seg.registry import MODELS

# Of a part, by operation: what the table also names.
_TERMS = {
    flops_parts.PROPAGATION: {'F^T F': ('mm',), 'A^beta C': ('addmm_',)},
    flops_parts.AFFINITY_LOSS: {'F^T F': ('mm',), 'gradient and sum': ('addmm_', 'dot')},
}


def measure_networks(
    case: FlopsCase,
    settings: Settings | None,
    *,
    on_start: Callable[[str], object] = lambda name: None,
) -> list[NetworkCost]:
    """The network without its affinity head (BESTIE's row of table 11), and with it.

    At inference with it for each of ``case.rounds``; in training as the config says. A config
    without affinity head gives one network.

    Args:
        case: what to measure.
        settings: how to measure the time; None = operations alone.
        on_start: called with the name of each network before it is measured.

    Raises:
        ValueError: for a config of another kind of model.
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
    """Operations of ``call`` by part of ``model``, both on the CPU.

    Args:
        model: it is as before afterwards, apart from what ``call`` changes.
        call: gets the meter, so that it can name parts of its own.

    Returns:
        dict: by part the readings of :class:`mmp2seg.analysis.flops.counter.OperationCount`.
    """
    with counting() as count, metered(model, count.read) as meter:
        call(meter)
    return dict(meter.parts)


def make_call(model: P2Seg, samples: Sequence[dict], phase: str) -> Callable[[PartMeter], object]:
    """A call for :func:`count_parts`: inference or a training pass of a batch of samples."""
    if phase == 'test':
        model.eval()
        return lambda meter: _infer(model, samples)
    model.train()
    return lambda meter: _train(model, samples, meter)


def _infer(model: P2Seg, samples: Sequence[dict]) -> None:
    with torch.no_grad():
        model.test_step(pseudo_collate(samples))


def _train(model: P2Seg, samples: Sequence[dict], meter: PartMeter) -> None:
    """Gradients are made and thrown away: ``.grad`` stays as it is."""
    data = model.data_preprocessor(pseudo_collate(samples), True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    params = [param for param in model.parameters() if param.requires_grad]
    with meter.part(flops_parts.BACKWARD):
        torch.autograd.grad(loss, params, allow_unused=True)


def _variants(model_cfg: Config, case: FlopsCase) -> dict[str, dict]:
    """Configs of the networks by name."""
    plain = model_cfg.to_dict()
    plain['test_cfg'] = {**(plain.get('test_cfg') or {}), 'rounds': 0}
    variants = {'without affinity': {**plain, 'affinity_head': None}}
    if plain.get('affinity_head') is None:
        return variants
    if case.phase == 'train':
        return {**variants, 'with affinity': plain}
    for rounds in case.rounds:
        name = f'with affinity, {rounds} round{"" if rounds == 1 else "s"}'
        variants[name] = {**plain, 'test_cfg': {**plain['test_cfg'], 'rounds': rounds}}
    return variants


def _measure_network(
    name: str, model_cfg: Mapping, case: FlopsCase, settings: Settings | None
) -> NetworkCost:
    """Operations are counted on the CPU; time is measured on the device of ``settings``."""
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
    """With the same random weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return network.build_network(model_cfg, scene, device=device)


def _note_shape(
    module: torch.nn.Module, shapes: dict, name: str, *, of_input: bool = False
) -> None:
    """Note once the (C, H, W) of a module's input or output."""

    def note(_: object, inputs: tuple, output: torch.Tensor) -> None:
        shapes[name] = tuple((inputs[0] if of_input else output).shape[1:])
        handle.remove()

    handle = module.register_forward_hook(note)


def _time_parts(
    model: P2Seg, samples: Sequence[dict], phase: str, settings: Settings
) -> dict[str, float]:
    """Median seconds of each part, and of the whole without meters on its parts."""
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
    """Costs per image of the parts that ran, in the table's order, and of all."""
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
