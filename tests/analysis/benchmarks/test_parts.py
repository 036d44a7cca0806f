"""The parts with tiny cases, in this process."""

from dataclasses import replace
from pathlib import Path

import pytest

from mmp2seg.analysis.benchmarks import clicks, measuring, parts
from mmp2seg.analysis.benchmarks.measuring import Measurement, Settings, time_calls
from mmp2seg.datasets.shapes.dataset import write_shapes

CONFIG = Path(__file__).resolve().parents[3] / 'configs' / 'ablations' / 'tiny_shapes_s2i_i2s.py'
CASE = parts.Case(
    config=str(CONFIG),
    grid=8,
    channels=4,
    crop=64,
    image=(48, 64),
    points=3,
    num_images=2,
    memory_sides=(64, 96),
    segmenter_sides=(48, 64),
    segmenter_points=(1, 3),
    stream=4,
    scale=3,
)
SETTINGS = Settings(repeat=1)


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """Run all calls in this process; memory grows with the image. Return the measured cases."""
    made = []

    def measure(make_call, options, settings, *, warm_up=None, count_setup=False):
        made.append((make_call.__name__, options, settings, count_setup))
        if warm_up is not None:
            make_call(warm_up)()
        once = replace(settings, repeat=settings.repeat or 1)
        seconds = time_calls(make_call(options), once, warm_up=False).seconds
        side = options.get('size', 0)
        return Measurement(seconds, 100 + (side**2 / 1e4 if isinstance(side, int) else 0))

    monkeypatch.setattr(parts, 'measure_in_fresh_process', measure)
    return made


@pytest.mark.parametrize('part', ['affinity', 'propagation'])
def test_affinity_is_measured_streamed_and_dense(part, measured):
    rows = parts.PARTS[part](CASE, SETTINGS)
    assert [options['dense'] for _, options, _, _ in measured] == [False, True] * (len(rows) // 2)
    assert {row.part for row in rows} == {part}
    for streamed, dense in zip(rows[::2], rows[1::2]):
        assert streamed.what.endswith('8 x 8 x 4: streamed')
        assert dense.what == streamed.what.replace('streamed', 'dense')
        assert 'times as fast as dense' in streamed.compared


def test_guided_propagation_is_measured_by_pixels_and_maps(measured):
    rows = parts.measure_guided(CASE, SETTINGS)
    sizes = [(options['maps'], options['side']) for _, options, _, _ in measured]
    assert sizes == [(3, 16), (3, 64), (3, 128), (3, 64), (12, 64), (48, 64)]
    assert rows[0].what == 'guided propagation of 3 scores, 10 iterations, 16 x 16'
    assert rows[0].compared == '1.00 times the smallest'
    assert [row.compared.rpartition('smallest')[2] for row in rows] == [
        '',
        ' for 16 times the size',
        ' for 64 times the size',
        '',
        ' for 4 times the size',
        ' for 16 times the size',
    ]


def test_steps_are_compared_with_the_one_without_i2s(measured):
    rows = parts.measure_steps(CASE, SETTINGS)
    assert [row.what.split(': ', 1)[1] for row in rows] == [
        'without I2S',
        'a round with guided affinity',
        'both affinity losses',
        'both losses, one round',
        'both losses, one round: dense',
    ]
    assert rows[0].compared == ''
    assert all('times without I2S' in row.compared for row in rows[1:])
    assert 'times as fast as dense' in rows[3].compared
    assert all(count_setup for *_, count_setup in measured)


def test_memory_by_pixels():
    first, second = parts.measure_memory(CASE, Settings(repeat=4))
    assert len(second.measurement.seconds) == 1
    assert first.compared == ''
    assert second.compared == '100 MiB per million pixels more than the smallest'


def test_inference_and_pipeline(measured):
    rows = parts.measure_inference(CASE, SETTINGS)
    asked = [(options['rounds'], options['guided']) for _, options, _, _ in measured]
    assert asked == [(0, False), (0, True), (1, False)]
    assert rows[0].what == 'inference, 48 x 64, 3 points: without propagation'
    (row,) = parts.measure_pipeline(CASE, Settings('cuda', threads=8, repeat=2))
    assert row.compared.endswith('images per second')
    worker = measured[-1][2]
    assert (worker.device, worker.threads, worker.repeat) == ('cpu', 1, 2)


def test_codec_by_use_and_by_size(monkeypatch):
    monkeypatch.setattr(
        parts, 'CODEC_CASES', [(name, 2, (20, 30)) for name, *_ in parts.CODEC_CASES]
    )
    rows = parts.measure_codec(CASE, SETTINGS)
    assert len(rows) == 4
    assert all(len(row.measurement.seconds) == 20 for row in rows)  # at least
    monkeypatch.setattr(parts, 'GROWTH_POINTS', (1, 2))
    monkeypatch.setattr(parts, 'GROWTH_SIDES', (16, 32))
    rows = parts.measure_growth(CASE, SETTINGS)
    assert len(rows) == 3 * 4
    assert rows[0].compared == '1.00 times the smallest'
    assert rows[3].what.endswith('3 points, 32 x 32')


def test_every_image_goes_through_the_training_pipeline(tmp_path):
    root = tmp_path / 'shapes'
    write_shapes(root, num_train=3, num_val=0, size=(40, 56))
    options = dict(config=str(CONFIG), cfg_options={}, root=str(root))
    assert parts.make_pipeline_call(options)() == 3


def test_segmenter_is_measured_by_pixels_and_points(measured):
    rows = parts.measure_segmenter(CASE, SETTINGS)
    assert [row.what for row in rows] == [
        'points to masks, 48 x 48, 1 point',
        'points to masks, 48 x 48, 3 points',
        'points to masks, 64 x 64, 1 point',
        'points to masks, 64 x 64, 3 points',
    ]
    assert [(options['size'], options['points']) for _, options, _, _ in measured] == [
        (48, 1),
        (48, 3),
        (64, 1),
        (64, 3),
    ]
    # one call each: at 2048 pixels it takes long
    assert all(settings.repeat == 0 for _, _, settings, _ in measured)


def test_stream_measures_the_growth_of_memory_per_image(measured, monkeypatch):
    monkeypatch.setattr(parts, 'STREAM_WARM_UP', 2)
    rows = parts.measure_stream(CASE, SETTINGS)
    size = 'per image of 48 x 48, 3 points'
    assert [row.what for row in rows] == [
        f'points to masks, {size}', f'P2SegInferencer.stream, {size}'
    ]  # fmt: skip
    assert [options['images'] for _, options, _, _ in measured] == [4, 4]
    for row in rows:
        assert row.compared == 'memory: peak in 4 images over what 2 images left'
        assert row.measurement.memory_mb is not None
        assert row.measurement.median > 0


def test_clicks_are_compared_with_the_command(monkeypatch):
    sessions = []
    found = Measurement((0.2,)), Measurement((0.1, 0.1))
    monkeypatch.setattr(clicks, 'measure_command', lambda *args: Measurement((10.0,)))
    monkeypatch.setattr(clicks, 'make_inferencer', lambda options: options['config'])
    monkeypatch.setattr(
        clicks,
        'measure_session',
        lambda config, scene, settings, object_size: (
            sessions.append((config, object_size)) or found
        ),
    )
    rows = parts.measure_clicks(CASE, SETTINGS)
    assert sessions == [(None, None), (None, 32.0), (CASE.config, None)]
    assert len(rows) == 7 and rows[0].what.endswith('predict.py, process start included')
    assert [row.what.rpartition(': ')[2] for row in rows[1:]] == [
        'first click',
        'further clicks',
    ] * 3
    assert rows[1].compared == '50.0 times as fast as predict.py'
    assert rows[6].compared == '100.0 times as fast as predict.py'


def test_large_files_are_written_read_split_and_merged(measured, monkeypatch):
    monkeypatch.setattr(parts, 'SCALE_WARM_UP', 4)
    rows = parts.measure_scale(replace(CASE, scale=5), SETTINGS)
    assert [options['images'] for _, options, _, _ in measured] == [5, 5, 5]
    assert [row.what.split(',')[0] for row in rows] == [
        'PseudoLabelWriter',
        'PointCocoDataset',
        'split into 4 and merge points',
    ]
    assert all(', 5 images of 7' in row.what for row in rows)
    cpu = Measurement((1.0,), 5.0, (0.25, 0.5))
    monkeypatch.setattr(parts, 'measure_in_fresh_process', lambda *args, **options: cpu)
    assert parts.measure_scale(CASE, SETTINGS)[0].compared == '0.8 s of CPU time'


def test_steps_are_timed_in_turns(monkeypatch):
    calls, clock = [], iter(range(10_000))
    monkeypatch.setattr(
        parts.network,
        'make_training_step',
        lambda options: lambda: calls.append((options['step'], options['batch'], options['size'])),
    )
    monkeypatch.setattr(measuring.time, 'perf_counter', lambda: next(clock) ** 2)
    names = list(parts.network.STEPS)
    rows = parts.measure_turns(replace(CASE, batch=2), Settings(repeat=3))
    assert [name for name, *_ in calls[: 2 * len(names)]] == [*names, *names[1:], names[0]]
    assert set(calls) == {(name, 2, 64) for name in names} and len(calls) == 5 * len(names)
    assert [len(row.measurement.seconds) for row in rows] == [3] * len(names)
    assert rows[0].compared == ''
    base = rows[0].measurement.seconds
    for row, name in zip(rows[1:], names[1:], strict=True):
        ratios = sorted(a / b for a, b in zip(row.measurement.seconds, base, strict=True))
        assert row.compared == f'{ratios[1]:.3f} times {names[0]}'
        assert row.what == f'training step, 2 images of 64 x 64: {name}, in turns'
