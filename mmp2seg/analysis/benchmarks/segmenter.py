"""The training-free point segmenter on synthetic images of any size and number of points."""

import itertools
import logging
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from mmengine.logging import MMLogger

from mmp2seg.analysis.benchmarks.scene import Scene, make_scene
from mmp2seg.registry import MODELS

NUM_CLASSES = 20
# The time does not depend on the weights: random ones need no package.
SEGMENTER = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)),
)


def make_segmenter_call(options: Mapping) -> Callable[[], object]:
    """Return a call that segments some images by their points.

    Args:
        options: ``points`` of an image; ``size``, side of the image; ``device``; ``images``, number
            of images of a call. A call makes them one after the other, each is another one.
    """
    MMLogger.get_current_instance().setLevel(logging.WARNING)  # not a line per parameter
    segmenter = MODELS.build(SEGMENTER)
    segmenter.backbone.init_weights()
    segmenter = segmenter.to(options['device']).eval()
    scene = make_scene(
        options['points'], (options['size'], options['size']), num_classes=NUM_CLASSES
    )
    seeds = itertools.count()

    def segment() -> None:
        for _ in range(options['images']):
            segmenter(
                draw_image(scene, seed=next(seeds)),
                points_xy=scene.points_xy,
                labels=scene.labels,
                num_classes=NUM_CLASSES,
            )

    return segment


def draw_image(scene: Scene, *, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Draw the objects of a scene in the colours of their classes, with noise: (H, W, 3) uint8."""
    colors = np.random.default_rng(0).integers(0, 256, (NUM_CLASSES + 1, 3))
    classes = np.append(0, scene.labels + 1)[scene.instance_map]
    noise = np.random.default_rng(seed).normal(0, 8, (*classes.shape, 3))
    return (colors[classes] + noise).clip(0, 255).astype(np.uint8)
