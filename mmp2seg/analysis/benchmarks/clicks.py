"""Clicks on an image with P2SegInferencer, its stream of images, and a run of the command."""

import itertools
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import save_checkpoint

from mmp2seg.analysis.benchmarks.measuring import Measurement, Settings
from mmp2seg.analysis.benchmarks.network import load_config
from mmp2seg.analysis.benchmarks.scene import Scene, make_scene
from mmp2seg.analysis.benchmarks.segmenter import SEGMENTER, draw_image
from mmp2seg.apis.cli import PACKAGE, find_home
from mmp2seg.apis.inferencer import P2SegInferencer
from mmp2seg.files.atomic_write import write_json
from mmp2seg.registry import MODELS


def make_inferencer(options: Mapping) -> P2SegInferencer:
    """Return an inferencer with random weights.

    Args:
        options: ``config``, path of a stage-1 config, or None for the point segmenter;
            ``cfg_options``, see :func:`mmp2seg.analysis.benchmarks.network.load_config`;
            ``device``.
    """
    MMLogger.get_current_instance().setLevel(logging.WARNING)  # not a line per parameter
    torch.manual_seed(0)
    if options['config'] is None:
        return P2SegInferencer(Config(dict(model=SEGMENTER)), device=options['device'])
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = write_random_weights(options, folder)
        return P2SegInferencer(load_config(options), checkpoint, options['device'])


def write_random_weights(options: Mapping, folder: str | Path) -> str:
    """Write a checkpoint of a stage-1 config with random weights, and return its path."""
    cfg = load_config(options)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
        state = MODELS.build(cfg.model).state_dict()
    path = str(Path(folder, 'random.pth'))
    save_checkpoint(dict(state_dict=state), path)
    return path


def measure_session(
    inferencer: P2SegInferencer, scene: Scene, settings: Settings, *, object_size: float | None
) -> tuple[Measurement, Measurement]:
    """Time the clicks on an image, each with all clicks before it.

    The first click includes :meth:`mmp2seg.P2SegInferencer.set_image`. A session warms up.

    Args:
        inferencer: see :func:`make_inferencer`.
        scene: at least two points.
        settings: ``repeat`` sessions are timed.
        object_size: see :meth:`mmp2seg.P2SegInferencer.predict`.

    Returns:
        tuple: the first clicks of the sessions; and of each further click its fastest session, as
        each has another number of points.
    """
    image = np.ascontiguousarray(draw_image(scene)[..., ::-1])
    labels = _labels(inferencer, scene)
    sessions = []
    for session in range(settings.repeat + 1):
        seconds = []
        for number in range(1, len(labels) + 1):
            start = time.perf_counter()
            if number == 1:
                inferencer.set_image(image)
            inferencer.predict(scene.points_xy[:number], labels[:number], object_size=object_size)
            seconds.append(time.perf_counter() - start)
        if session > 0:
            sessions.append(seconds)
    first, *further = zip(*sessions, strict=True)
    return Measurement(first), Measurement(tuple(min(seconds) for seconds in further))


def measure_command(options: Mapping, scene: Scene, settings: Settings) -> Measurement:
    """Time runs of tools/predict.py for all points of one image, process start included.

    Args:
        options: see :func:`make_inferencer`; with a config.
        scene: the image.
        settings: ``repeat`` runs are timed.
    """
    seconds = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / 'images').mkdir()
        cv2.imwrite(str(folder / 'images' / 'scene.png'), draw_image(scene)[..., ::-1])
        checkpoint = write_random_weights(options, folder)
        inferencer = P2SegInferencer(load_config(options), checkpoint, options['device'])
        write_json(folder / 'points.json', _points_json(scene, inferencer))
        load_config(options).dump(folder / 'config.py')
        command = [sys.executable, str(find_home(PACKAGE) / 'tools' / 'predict.py')]
        command += [str(folder / 'config.py'), checkpoint, '--images', str(folder / 'images')]
        command += ['--points', str(folder / 'points.json'), '--out', str(folder / 'labels.json')]
        command += ['--work-dir', str(folder / 'work_dir'), '--device', options['device']]
        for _ in range(settings.repeat):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, text=True)
            seconds.append(time.perf_counter() - start)
    return Measurement(tuple(seconds))


def make_stream_call(options: Mapping) -> Callable[[], object]:
    """Return a call that streams images through an inferencer and keeps no result.

    Args:
        options: those of :func:`make_inferencer`, and ``points`` of an image, ``size``, side of the
            image, and ``images``, number of images of a call; each is another one.
    """
    inferencer = make_inferencer(options)
    side = options['size']
    scene = make_scene(options['points'], (side, side))
    labels = _labels(inferencer, scene)
    seeds = itertools.count()

    def stream() -> None:
        images = (draw_image(scene, seed=next(seeds)) for _ in range(options['images']))
        calls = itertools.repeat(scene.points_xy), itertools.repeat(labels)
        for _ in inferencer.stream(images, *calls):
            pass

    return stream


def _labels(inferencer: P2SegInferencer, scene: Scene) -> list[int]:
    """Return the classes of the points, as far as the inferencer has so many."""
    num_classes = len(inferencer.classes) or int(scene.labels.max()) + 1
    return (scene.labels % num_classes).tolist()


def _points_json(scene: Scene, inferencer: P2SegInferencer) -> dict:
    height, width = scene.instance_map.shape
    return dict(
        images=[dict(id=1, file_name='scene.png', height=height, width=width)],
        categories=[dict(id=k, name=name) for k, name in enumerate(inferencer.classes, start=1)],
        annotations=[
            dict(id=n, image_id=1, category_id=label + 1, point=[float(x) for x in point])
            for n, (point, label) in enumerate(
                zip(scene.points_xy, _labels(inferencer, scene), strict=True), start=1
            )
        ],
    )
