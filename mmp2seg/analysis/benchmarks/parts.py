"""The parts of the benchmark: each measures its cases and returns rows of the table."""

import statistics
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from mmengine.runner import set_random_seed

from mmp2seg.analysis.benchmarks import affinity, clicks, codec, network, scale, segmenter
from mmp2seg.analysis.benchmarks.measuring import (
    Measurement,
    Settings,
    measure_in_fresh_process,
    time_calls,
    time_in_turns,
)
from mmp2seg.analysis.benchmarks.report import Row, times_as_fast, times_as_long
from mmp2seg.analysis.benchmarks.scene import make_scene
from mmp2seg.analysis.tables import format_count
from mmp2seg.datasets.shapes.dataset import SHAPES_CLASSES, write_shapes
from mmp2seg.registry import DATASETS

# Measurements of the codec: name of the call, points, (H, W).
CODEC_CASES = (
    (codec.INITIAL, 6, (416, 416)),
    (codec.REFINED, 12, (416, 416)),
    (codec.DECODED, 12, (375, 500)),
    (codec.UPSAMPLED, 12, (375, 500)),
)
GROWTH_POINTS = (1, 12, 50, 200)
GROWTH_SIDES = (256, 512, 1024, 2048)
# Images of the part stream before its memory is measured: what libraries keep is kept by then.
STREAM_WARM_UP = 100
# Annotations per image of COCO train2017: 860001 / 118287.
SCALE_POINTS = 7.27
SCALE_WARM_UP = 10


@dataclass(frozen=True)
class Case:
    """Sizes of the cases to measure.

    Attributes:
        config: path of a stage-1 config.
        cfg_options: settings of the config to replace, by dotted key.
        grid, channels: of the embedding, for the parts affinity and propagation.
        beta, radius: for the part propagation.
        crop: side of the training image.
        batch: images of a training step.
        image: (H, W) of the images of inference and pipeline.
        points: points of an image.
        num_images: images of the pipeline.
        memory_sides: sides of the training images for the part memory.
        segmenter_sides, segmenter_points: of the images for the part segmenter.
        stream: number of images of the part stream.
        scale: number of images of the part scale.
    """

    config: str
    cfg_options: Mapping = field(default_factory=dict)
    grid: int = 104
    channels: int = 256
    beta: float = 1.0
    radius: float | None = None
    crop: int = 416
    batch: int = 1
    image: tuple[int, int] = (375, 500)
    points: int = 12
    num_images: int = 8
    memory_sides: tuple[int, ...] = (256, 416, 640, 1024)
    segmenter_sides: tuple[int, ...] = (352, 1024, 2048)
    segmenter_points: tuple[int, ...] = (1, 20, 100, 500)
    stream: int = 1000
    scale: int = 118_287

    def network_options(self, settings: Settings) -> dict:
        """Shared options of the cases of :mod:`mmp2seg.analysis.benchmarks.network`."""
        return dict(
            config=self.config,
            cfg_options=dict(self.cfg_options),
            points=self.points,
            device=settings.device,
        )


def measure_affinity(case: Case, settings: Settings) -> list[Row]:
    """Affinity loss with gradient, streamed and dense, for two kinds of label maps."""
    rows = []
    share = affinity.labelled_share(case.grid)
    for full, pixels in ((True, 'all pixels'), (False, f'{share:.0%} of the pixels')):
        what = f'affinity loss and gradient, {pixels} in instances'
        options = dict(full=full)
        measured = _streamed_and_dense(what, affinity.make_loss_call, options, case, settings)
        rows += [Row('affinity', *row) for row in measured]
    return rows


def measure_propagation(case: Case, settings: Settings) -> list[Row]:
    """Propagation of semantic scores, streamed and dense."""
    what = f'propagation of 21 scores, beta {case.beta:g}'
    if case.radius is not None:
        what += f', radius {case.radius:g}'
    options = dict(beta=case.beta, radius=case.radius)
    measured = _streamed_and_dense(what, affinity.make_propagation_call, options, case, settings)
    return [Row('propagation', *row) for row in measured]


def measure_guided(case: Case, settings: Settings) -> list[Row]:
    """Guided propagation by pixels and by score maps, with its weights."""
    rows = []
    pixels = [(3, side) for side in (case.crop // 4, case.crop, 2 * case.crop)]
    for sweep in (pixels, [(maps, case.crop) for maps in (3, 12, 48)]):
        found: list[Measurement] = []
        for maps, side in sweep:
            options = dict(maps=maps, side=side, iterations=10, device=settings.device)
            small = {**options, 'side': 32}
            make_call = affinity.make_guided_call
            found.append(measure_in_fresh_process(make_call, options, settings, warm_up=small))
            what = f'guided propagation of {maps} scores, 10 iterations, {side} x {side}'
            size = maps * side**2 / (sweep[0][0] * sweep[0][1] ** 2)
            compared = times_as_long(found[-1], found[0], 'the smallest')
            if compared and size > 1:
                compared += f' for {size:.3g} times the size'
            rows.append(Row('guided', what, found[-1], compared))
    return rows


def _streamed_and_dense(
    what: str,
    make_call: Callable[[Mapping], Callable[[], object]],
    options: Mapping,
    case: Case,
    settings: Settings,
) -> list[tuple]:
    """Values of two rows, without the part; memory is measured after the embedding was made."""
    options = {'channels': case.channels, 'device': settings.device, **options}
    found = []
    for dense in (False, True):
        full, small = ({**options, 'dense': dense, 'grid': grid} for grid in (case.grid, 8))
        found.append(measure_in_fresh_process(make_call, full, settings, warm_up=small))
    what = f'{what}, {case.grid} x {case.grid} x {case.channels}'
    return [
        (f'{what}: streamed', found[0], times_as_fast(*found, 'dense')),
        (f'{what}: dense', found[1]),
    ]


def measure_steps(case: Case, settings: Settings) -> list[Row]:
    """Training steps without I2S, with it, and with the dense affinity.

    Memory includes the network.
    """
    (without, *others), dense_of = network.STEPS, list(network.STEPS)[-1]
    base = _measure_step(without, case, settings)
    rows = [Row('step', _step_title(without, case), base)]
    dense = _measure_step(dense_of, case, settings, dense=True)
    for name in others:
        found = _measure_step(name, case, settings)
        compared = times_as_long(found, base, without)
        if name == dense_of:
            compared += ', ' + times_as_fast(found, dense, 'dense')
        rows.append(Row('step', _step_title(name, case), found, compared))
    title = f'{_step_title(dense_of, case)}: dense'
    return [*rows, Row('step', title, dense, times_as_long(dense, base, without))]


def measure_turns(case: Case, settings: Settings) -> list[Row]:
    """Training steps without and with I2S, in turns in this process, for the ratio of their times.

    The ratio is the median over the rounds.
    """
    options = dict(size=case.crop, batch=case.batch, dense=False, **case.network_options(settings))
    names = list(network.STEPS)
    calls = [network.make_training_step({**options, 'step': name}) for name in names]
    base, *others = time_in_turns(calls, settings)
    rows = [Row('turns', f'{_step_title(names[0], case)}, in turns', base)]
    for name, found in zip(names[1:], others, strict=True):
        ratio = statistics.median(
            one / of_base for one, of_base in zip(found.seconds, base.seconds, strict=True)
        )
        compared = f'{ratio:.3f} times {names[0]}'
        rows.append(Row('turns', f'{_step_title(name, case)}, in turns', found, compared))
    return rows


def measure_memory(case: Case, settings: Settings) -> list[Row]:
    """Training steps with one round at growing sizes, for the memory per pixel."""
    name = list(network.STEPS)[-1]
    rows: list[Row] = []
    for side in case.memory_sides:
        case = replace(case, crop=side)
        found = _measure_step(name, case, replace(settings, repeat=1))
        compared = ''
        smallest = rows[0].measurement.memory_mb if rows else None
        if smallest is not None and found.memory_mb is not None:
            pixels = (side**2 - case.memory_sides[0] ** 2) / 1e6
            slope = (found.memory_mb - smallest) / pixels
            compared = f'{slope:.0f} MiB per million pixels more than the smallest'
        rows.append(Row('memory', _step_title(name, case), found, compared))
    return rows


def _measure_step(name: str, case: Case, settings: Settings, *, dense: bool = False) -> Measurement:
    options = dict(step=name, size=case.crop, batch=case.batch, dense=dense)
    options |= case.network_options(settings)
    return measure_in_fresh_process(network.make_training_step, options, settings, count_setup=True)


def _step_title(name: str, case: Case) -> str:
    size = f'{case.crop} x {case.crop}'
    if case.batch > 1:
        size = f'{case.batch} images of {size}'
    return f'training step, {size}: {name}'


def measure_inference(case: Case, settings: Settings) -> list[Row]:
    """Inference of one image without and with propagation; memory includes the network."""
    height, width = case.image
    found = []
    for rounds, guided in ((0, False), (0, True), (1, False)):
        options = dict(
            rounds=rounds, guided=guided, size=case.image, **case.network_options(settings)
        )
        found.append(
            measure_in_fresh_process(network.make_inference, options, settings, count_setup=True)
        )
    title = f'inference, {height} x {width}, {case.points} points'
    compared = ['', *(times_as_long(one, found[0], 'without propagation') for one in found[1:])]
    names = ('without propagation', 'guided propagation of instances', 'one pairwise propagation')
    return [
        Row('inference', f'{title}: {name}', *values)
        for name, *values in zip(names, found, compared, strict=True)
    ]


def measure_codec(case: Case, settings: Settings) -> list[Row]:
    """Initial labels, refined targets and decoding of an image."""
    rows = []
    for name, points, size in CODEC_CASES:
        call = codec.codec_calls(points, size, device=settings.device)[name]
        found = _many_calls(call, settings)
        rows.append(Row('targets', _codec_title(name, points, size), found))
    return rows


def measure_growth(case: Case, settings: Settings) -> list[Row]:
    """The codec by points and by pixels, compared with the smallest of each."""
    sweeps = (
        [(points, (416, 416)) for points in GROWTH_POINTS],
        [(case.points, (side, side)) for side in GROWTH_SIDES],
    )
    rows = []
    for name in (codec.INITIAL, codec.REFINED, codec.UPSAMPLED):
        for sweep in sweeps:
            found = []
            for points, size in sweep:
                call = codec.codec_calls(points, size, device=settings.device)[name]
                found.append(time_calls(call, settings))
                title = _codec_title(name, points, size)
                compared = times_as_long(found[-1], found[0], 'the smallest')
                rows.append(Row('growth', title, found[-1], compared))
    return rows


def _codec_title(name: str, points: int, size: tuple[int, int]) -> str:
    return f'{name}, {format_count(points, "point")}, {size[0]} x {size[1]}'


def _many_calls(call: Callable[[], object], settings: Settings) -> Measurement:
    """Time at least 20 calls, as a call takes a few milliseconds."""
    return time_calls(call, replace(settings, repeat=max(settings.repeat, 20)))


def measure_pipeline(case: Case, settings: Settings) -> list[Row]:
    """The training pipeline in one process with one thread, as in a worker of the data loader."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / 'shapes'
        write_shapes(root, num_train=case.num_images, num_val=0, size=case.image, overwrite=True)
        options = dict(config=case.config, cfg_options=dict(case.cfg_options), root=str(root))
        worker = replace(settings, device='cpu', threads=1)
        found = measure_in_fresh_process(make_pipeline_call, options, worker)
    found = Measurement(tuple(seconds / case.num_images for seconds in found.seconds))
    per_second = '' if found.median is None else f'{1 / found.median:.1f} images per second'
    height, width = case.image
    title = f'data pipeline, one worker, per image of {height} x {width}'
    return [Row('pipeline', title, found, per_second)]


def make_pipeline_call(options: Mapping) -> Callable[[], object]:
    """Return a call that reads every image once through the training pipeline.

    Args:
        options: ``config`` and ``cfg_options``, see
            :func:`mmp2seg.analysis.benchmarks.network.make_training_step`; ``root``, a folder
            written by :func:`mmp2seg.datasets.shapes.dataset.write_shapes` in VOC layout.
    """
    cfg = network.load_config(options)
    dataset_cfg = cfg.train_dataloader.dataset
    dataset_cfg.update(
        data_root=str(options['root']),
        ann_file='ImageSets/Segmentation/train.txt',
        data_prefix=dict(img='JPEGImages', points='Center_points', seg_map='WSSS_maps'),
        metainfo=dict(classes=SHAPES_CLASSES),
    )
    dataset = DATASETS.build(dataset_cfg)

    def read() -> int:
        set_random_seed(0)
        return len([dataset[index] for index in range(len(dataset))])

    return read


def measure_segmenter(case: Case, settings: Settings) -> list[Row]:
    """The training-free segmenter by pixels and points; memory does not include the network."""
    small = dict(points=2, size=64, images=1, device=settings.device)
    rows = []
    for side in case.segmenter_sides:
        for number in case.segmenter_points:
            options = {**small, 'points': number, 'size': side}
            found = measure_in_fresh_process(
                segmenter.make_segmenter_call, options, replace(settings, repeat=0), warm_up=small
            )
            title = f'points to masks, {side} x {side}, {format_count(number, "point")}'
            rows.append(Row('segmenter', title, found))
    return rows


def measure_stream(case: Case, settings: Settings) -> list[Row]:
    """Many images one after the other: the peak must be that of one image."""
    side = case.segmenter_sides[0]
    note = f'memory: peak in {case.stream} images over what {STREAM_WARM_UP} images left'
    size = f'per image of {side} x {side}, {format_count(case.points, "point")}'
    rows = []
    for title, make_call, extra in (
        ('points to masks', segmenter.make_segmenter_call, {}),
        ('P2SegInferencer.stream', clicks.make_stream_call, case.network_options(settings)),
    ):
        options = dict(points=case.points, size=side, images=case.stream, device=settings.device)
        options |= extra
        found = measure_in_fresh_process(
            make_call,
            options,
            replace(settings, repeat=0),
            warm_up={**options, 'images': STREAM_WARM_UP},
        )
        per_image = Measurement(
            tuple(seconds / case.stream for seconds in found.seconds), found.memory_mb
        )
        rows.append(Row('stream', f'{title}, {size}', per_image, note))
    return rows


def measure_scale(case: Case, settings: Settings) -> list[Row]:
    """Label files and point files of many images: memory must not grow with what they hold."""
    rows = []
    for title, make_call, points in (
        ('PseudoLabelWriter', scale.make_writing_call, round(SCALE_POINTS)),
        ('PointCocoDataset', scale.make_reading_call, SCALE_POINTS),
        ('split into 4 and merge points', scale.make_parts_call, SCALE_POINTS),
    ):
        found = measure_in_fresh_process(
            make_call,
            dict(images=case.scale, points=points),
            replace(settings, repeat=0),
            warm_up=dict(images=SCALE_WARM_UP, points=points),
        )
        note = f'{sum(found.cpu_seconds):.1f} s of CPU time' if found.cpu_seconds else ''
        rows.append(Row('scale', f'{title}, {case.scale} images of {points} points', found, note))
    return rows


def measure_clicks(case: Case, settings: Settings) -> list[Row]:
    """Clicks on an image by the inferencer: the point segmenter, the config's network, a command.

    The segmenter is given the size of the objects in a second run: its scale does not change then.
    """
    height, width = case.image
    scene = make_scene(max(2, case.points), case.image)
    size = float(np.sqrt(height * width / len(scene.labels)))
    network_options = case.network_options(settings)
    command = clicks.measure_command(network_options, scene, settings)
    name = Path(case.config).stem
    title = f'{format_count(len(scene.labels), "point")} on {height} x {width}'
    rows = [Row('clicks', f'{title}, {name}: predict.py, process start included', command)]
    for what, options, object_size in (
        ('without a network', {**network_options, 'config': None}, None),
        ('without a network, object_size given', {**network_options, 'config': None}, size),
        (name, network_options, None),
    ):
        inferencer = clicks.make_inferencer(options)
        found = clicks.measure_session(inferencer, scene, settings, object_size=object_size)
        for click, seconds in zip(('first click', 'further clicks'), found, strict=True):
            compared = times_as_fast(seconds, command, 'predict.py')
            rows.append(Row('clicks', f'{title}, {what}: {click}', seconds, compared))
    return rows


# By name, in the order of the table. The last five have their own options.
PARTS: dict[str, Callable[[Case, Settings], list[Row]]] = {
    'affinity': measure_affinity,
    'propagation': measure_propagation,
    'guided': measure_guided,
    'step': measure_steps,
    'targets': measure_codec,
    'pipeline': measure_pipeline,
    'inference': measure_inference,
    'clicks': measure_clicks,
    'growth': measure_growth,
    'turns': measure_turns,
    'memory': measure_memory,
    'segmenter': measure_segmenter,
    'stream': measure_stream,
    'scale': measure_scale,
}
