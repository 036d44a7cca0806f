"""Train the class head of a PointSegmenter on the images that it will segment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import Dataset

from mmp2seg.ops.coords import misplaced_points
from mmp2seg.ops.image_edge import onto_last_pixel
from mmp2seg.ops.point_similarity import sample_sum
from mmp2seg.registry import MODELS
from mmp2seg.segmenters.point_segmenter import PointSegmenter


@dataclass(frozen=True)
class PointImage:
    """An image with its points.

    Attributes:
        image_rgb: ``(H, W, 3)`` uint8.
        points_xy: ``(N, 2)`` floats.
        labels: ``(N,)`` integers ``0..K-1``.
        background_xy: ``(B, 2)`` clicks on background, or None.
    """

    image_rgb: npt.NDArray[np.uint8]
    points_xy: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    background_xy: npt.NDArray[np.float64] | None = None


class _Features(Dataset):
    """The frozen features of every image, computed once, and the targets of a generation."""

    metainfo: dict = {}

    def __init__(self, features: Sequence[Sequence[Tensor]], targets: Sequence[Tensor]) -> None:
        self._features = features
        self._targets = targets

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, index: int) -> dict:
        return dict(levels=list(self._features[index]), targets=self._targets[index])


class ClassHeadModel(BaseModel):
    """A class head and its loss as a model of mmengine, on features instead of images.

    Args:
        head: the module that is trained.
        strides: pixels per cell of each level.
        grid_stride: pixels per cell of the targets.
        loss: config of a loss of ``(K + 1, M)`` logits and ``(M,)`` targets.
    """

    def __init__(
        self, *, head: torch.nn.Module, strides: Sequence[int], grid_stride: int, loss: Mapping
    ) -> None:
        super().__init__()
        self.head = head
        self.strides = tuple(strides)
        self.grid_stride = grid_stride
        self.loss = MODELS.build(dict(loss))

    def forward(
        self, levels: list[list[Tensor]], targets: list[Tensor], mode: str = 'loss'
    ) -> dict[str, Tensor]:
        """Return the loss of a batch of images of any sizes; its shares are those of all cells.

        Args:
            levels: per image the maps of each level, ``(C_l, h_l, w_l)``.
            targets: per image ``(rows, columns)`` integers on the grid.
            mode: only ``'loss'``.
        """
        logits, wanted = [], []
        for maps, target in zip(levels, targets, strict=True):
            rows, columns = target.shape
            y = (torch.arange(rows, device=target.device) + 0.5) * self.grid_stride
            x = (torch.arange(columns, device=target.device) + 0.5) * self.grid_stride
            outputs = self.head([level.float() for level in maps])
            keep = target != 255
            logits.append(sample_sum(outputs, self.strides, x, y)[:, keep])
            wanted.append(target[keep])
        return dict(loss=self.loss(torch.cat(logits, 1), torch.cat(wanted)))


class ClassHeadTraining:
    """Train the class head of a segmenter with points, then with its own maps.

    The first generation sees clicks alone: the 3 x 3 cells around each point are of its class, all
    other cells are not labelled (:class:`mmp2seg.PositiveUnlabeledLoss`). Each further generation
    trains a new head on the maps that the segmenter makes with the last one
    (:meth:`PointSegmenter.agreement_map`). The backbone stays as it is; its features are computed
    once and kept in half precision, about .4 MB for an image of 352 pixels.

    Args:
        generations: number of further generations; 0 trains with clicks alone.
        iterations: steps of each training.
        batch_size: images per step.
        lr: largest learning rate of the one-cycle schedule.
        weight_decay: of AdamW.
        loss: config of the loss.
        seed: of the head's weights, the order of the images and the dropout.
    """

    def __init__(
        self,
        *,
        generations: int = 1,
        iterations: int = 150,
        batch_size: int = 8,
        lr: float = 5e-3,
        weight_decay: float = 1e-2,
        loss: Mapping | None = None,
        seed: int = 0,
    ) -> None:
        self.generations = generations
        self.iterations = iterations
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.loss = dict(loss or dict(type='mmp2seg.PositiveUnlabeledLoss'))
        self.seed = seed

    def fit(
        self,
        segmenter: PointSegmenter,
        images: Iterable[PointImage],
        *,
        num_classes: int,
        work_dir: str,
    ) -> None:
        """Give ``segmenter`` a trained class head.

        Args:
            segmenter: its ``class_head`` is replaced.
            images: iterated once for the features, and once for each further generation.
            num_classes: K.
            work_dir: folder of the runner's logs.

        Raises:
            ValueError: no image has a point.
        """
        segmenter.class_head = None
        features, targets = [], []
        for image in images:
            maps, grid, scale = segmenter.class_features(
                image.image_rgb, points_xy=_usable(image)[0]
            )
            features.append([level.half().cpu() for level in maps])
            targets.append(_click_targets(image, grid, scale))
        if not any(bool((target > 0).any()) for target in targets):
            raise ValueError('expected an image with points to train a class head, got none')
        channels = [len(level) for level in features[0]]
        for generation in range(self.generations + 1):
            if generation > 0:
                targets = [
                    torch.from_numpy(
                        segmenter.agreement_map(
                            image.image_rgb,
                            points_xy=image.points_xy,
                            labels=image.labels,
                            num_classes=num_classes,
                            background_xy=image.background_xy,
                        )
                    ).long()
                    if len(_usable(image)[0])
                    else target
                    for image, target in zip(images, targets, strict=True)
                ]
            segmenter.class_head = self._train(
                segmenter, features, targets, channels, num_classes, f'{work_dir}/{generation}'
            )

    def _train(
        self,
        segmenter: PointSegmenter,
        features: Sequence[Sequence[Tensor]],
        targets: Sequence[Tensor],
        channels: Sequence[int],
        num_classes: int,
        work_dir: str,
    ) -> torch.nn.Module:
        head = MODELS.build(
            dict(type='mmp2seg.PointClassHead', in_channels=channels, num_classes=num_classes)
        )
        model = ClassHeadModel(
            head=head, strides=segmenter.strides, grid_stride=segmenter.grid_stride, loss=self.loss
        )
        scope = DefaultScope.get_current_instance()
        runner = Runner(
            model=model,
            work_dir=work_dir,
            experiment_name=f'class_head_{id(model)}',
            train_dataloader=dict(
                dataset=_Features(features, targets),
                batch_size=min(self.batch_size, len(targets)),
                sampler=dict(type='InfiniteSampler', shuffle=True, seed=self.seed),
                collate_fn=_collate,
            ),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=self.iterations),
            optim_wrapper=dict(
                optimizer=dict(type='AdamW', lr=self.lr, weight_decay=self.weight_decay)
            ),
            param_scheduler=dict(
                type='OneCycleLR',
                eta_max=self.lr,
                total_steps=self.iterations,
                by_epoch=False,
            ),
            default_hooks=dict(checkpoint=None, logger=dict(type='LoggerHook', interval=50)),
            randomness=dict(seed=self.seed),
            default_scope=scope.scope_name if scope else 'mmengine',
            log_level='WARNING',
        )
        runner.train()
        return runner.model.head.eval()


def _collate(samples: Sequence[dict]) -> dict:
    """Keep the images of a batch apart: their sizes differ."""
    return {key: [sample[key] for sample in samples] for key in samples[0]}


def _usable(image: PointImage) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Return the points inside the image, each once, and their labels."""
    height, width = image.image_rgb.shape[:2]
    points_xy = onto_last_pixel(image.points_xy, height, width)
    usable = misplaced_points(points_xy, image.labels, height, width) == ''
    return points_xy[usable], image.labels[usable]


def _click_targets(image: PointImage, grid: tuple[int, int], scale: tuple[float, float]) -> Tensor:
    """Return the class of the 3 x 3 cells around each point, 0 elsewhere, ``(rows, columns)``."""
    targets = torch.zeros(grid, dtype=torch.long)
    for (x, y), label in zip(*_usable(image), strict=True):
        row, column = int(y * scale[1]), int(x * scale[0])
        targets[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2] = int(label) + 1
    return targets
