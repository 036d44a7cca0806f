import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mmp2seg.analysis.benchmarks import clicks
from mmp2seg.analysis.benchmarks.measuring import Settings
from mmp2seg.analysis.benchmarks.scene import make_scene
from mmp2seg.apis.inferencer import P2SegInferencer
from mmp2seg.pseudo_labels.coco_json import load

CONFIG = Path(__file__).resolve().parents[3] / 'configs' / 'p2seg' / 'tiny_shapes.py'
OPTIONS = dict(config=str(CONFIG), cfg_options={}, points=3, device='cpu')
SIZE = (48, 64)


@pytest.mark.parametrize('config', [None, str(CONFIG)])
def test_a_session_adds_one_click_at_a_time(config, monkeypatch):
    inferencer = clicks.make_inferencer({**OPTIONS, 'config': config})
    asked, images = [], []
    predict, set_image = P2SegInferencer.predict, P2SegInferencer.set_image

    def watch(self, points, labels, **options):
        asked.append((len(points), options['object_size']))
        result = predict(self, points, labels, **options)
        assert len(result) + len(result.dropped) == len(points)
        return result

    monkeypatch.setattr(P2SegInferencer, 'predict', watch)
    monkeypatch.setattr(
        P2SegInferencer,
        'set_image',
        lambda self, image: (images.append(image.shape), set_image(self, image)),
    )
    size = 20.0 if config is None else None
    first, further = clicks.measure_session(
        inferencer, make_scene(3, SIZE), Settings(repeat=2), object_size=size
    )
    assert images == [(*SIZE, 3)] * 3  # one more to warm up
    assert asked == [(number, size) for number in (1, 2, 3)] * 3
    assert len(first.seconds) == len(further.seconds) == 2
    assert min(*first.seconds, *further.seconds) > 0


def test_the_command_gets_the_same_points(monkeypatch):
    commands = []

    def run(command, **options):
        folder = Path(command[2]).parent
        points = load_points(folder / 'points.json')
        commands.append((command, points, sorted(p.name for p in (folder / 'images').iterdir())))

    monkeypatch.setattr(subprocess, 'run', run)
    found = clicks.measure_command(OPTIONS, make_scene(3, SIZE), Settings(repeat=2))
    assert len(found.seconds) == len(commands) == 2
    command, points, images = commands[0]
    assert command[1].endswith('predict.py') and images == ['scene.png']
    assert command[command.index('--device') + 1] == 'cpu'
    assert np.allclose(points, make_scene(3, SIZE).points_xy)


def load_points(path):
    return [entry['point'] for entry in json.loads(path.read_text())['annotations']]


def test_the_command_runs(monkeypatch):
    results, original = [], subprocess.run

    def run(command, **options):
        done = original(command, **options)
        results.append(load(command[command.index('--out') + 1]))
        return done

    monkeypatch.setattr(subprocess, 'run', run)
    clicks.measure_command(OPTIONS, make_scene(3, SIZE), Settings(repeat=1))
    (labels,) = results
    assert len(labels['annotations']) + len(labels['dropped_points']) == 3


@pytest.mark.parametrize('images', [1, 3])
def test_a_stream_takes_all_its_images(images, monkeypatch):
    seen, original = [], P2SegInferencer._predict

    def watch(self, look, *args):
        seen.append(look.pixels.tobytes())
        return original(self, look, *args)

    monkeypatch.setattr(P2SegInferencer, '_predict', watch)
    call = clicks.make_stream_call({**OPTIONS, 'size': 48, 'images': images})
    call()
    call()
    assert len(seen) == len(set(seen)) == 2 * images
