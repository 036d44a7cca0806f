import numpy as np
import pytest
import torch
from torch import nn

from mmp2seg.registry import MODELS
from mmp2seg.segmenters import PointSegmenter
from mmp2seg.segmenters.class_head_training import (
    ClassHeadModel,
    ClassHeadTraining,
    PointImage,
    _click_targets,
)

COLORS = {0: (220, 40, 40), 1: (40, 60, 220)}


@MODELS.register_module(force=True)
class ColorBackbone(nn.Module):
    """Mean colours at two strides, as a backbone without weights."""

    def forward(self, images):
        return tuple(nn.functional.avg_pool2d(images, s, ceil_mode=True) for s in (4, 8))


def segmenter(**options):
    return PointSegmenter(
        backbone=dict(type='mmp2seg.ColorBackbone'),
        strides=(4, 8),
        long_side=96,
        spacing=1.0,
        tile=96,
        overlap=32,
        **options,
    )


def image_of(seed):
    """A red and a blue square on grey with noise, and a point in each."""
    rng = np.random.default_rng(seed)
    picture = np.full((64, 96, 3), 120)
    points = []
    for label, left in enumerate((8, 56)):
        top = int(rng.integers(8, 28))
        picture[top : top + 28, left : left + 28] = COLORS[label]
        points.append((left + 14.5, top + 14.5))
    picture = np.clip(picture + rng.integers(-8, 9, picture.shape), 0, 255).astype(np.uint8)
    return PointImage(picture, np.array(points), np.array([0, 1]))


def truth_of(image):
    distances = [
        np.abs(image.image_rgb.astype(int) - color).sum(-1) for color in (*COLORS.values(), 120)
    ]
    return np.array([1, 2, 0])[np.argmin(distances, 0)]


def agreement(model, images):
    results = [
        model(i.image_rgb, points_xy=i.points_xy, labels=i.labels, num_classes=2).semantic_argmax
        for i in images
    ]
    return np.mean([r == truth_of(i) for r, i in zip(results, images, strict=True)])


@pytest.fixture
def images():
    return [image_of(seed) for seed in range(4)]


def train(images, tmp_path, *, generations=1, seed=0, iterations=40):
    model = segmenter()
    training = ClassHeadTraining(generations=generations, iterations=iterations, seed=seed)
    training.fit(model, images, num_classes=2, work_dir=str(tmp_path))
    return model


def test_a_trained_head_separates_the_classes(images, tmp_path):
    model = train(images, tmp_path)
    assert agreement(model, images) > 0.95
    # the head alone tells the classes apart, also in an image that it has not seen
    new = image_of(17)
    maps, _, _ = model.class_features(new.image_rgb, points_xy=new.points_xy)
    logits = model.class_head(maps)[0]
    for (x, y), label in zip(new.points_xy, new.labels, strict=True):
        assert logits[1:, int(y) // 4, int(x) // 4].argmax() == label


def test_equal_seeds_give_equal_heads(images, tmp_path):
    first, second, other = (
        train(images, tmp_path / str(run), generations=0, iterations=5, seed=seed)
        for run, seed in enumerate((3, 3, 4))
    )
    weights = [m.class_head.convs[0].weight for m in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_backbone_and_the_features_are_not_trained(images, tmp_path):
    model = train(images, tmp_path, generations=0, iterations=3)
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert not model.class_head.training


def test_click_targets_are_three_by_three_cells_inside_the_grid():
    image = PointImage(
        np.zeros((40, 40, 3), np.uint8), np.array([[1.0, 1.0], [30.5, 22.0], [70, 5]]), np.arange(3)
    )
    targets = _click_targets(image, (10, 10), (0.25, 0.25))
    expected = torch.zeros(10, 10, dtype=torch.long)
    expected[:2, :2] = 1
    expected[4:7, 6:9] = 2  # the third point is outside
    assert torch.equal(targets, expected)


def test_a_click_on_the_edge_is_on_the_last_cell():
    image = PointImage(np.zeros((40, 40, 3), np.uint8), np.array([[40.0, 40]]), np.arange(1))
    targets = _click_targets(image, (10, 10), (0.25, 0.25))
    assert (targets[8:, 8:] == 1).all() and targets.sum() == 4


def test_background_of_the_agreement_map_is_background_with_and_without_the_head(images, tmp_path):
    model = train(images, tmp_path)
    image = images[0]
    arguments = dict(points_xy=image.points_xy, labels=image.labels, num_classes=2)
    agreed = model.agreement_map(image.image_rgb, **arguments)
    assert agreed.shape == (16, 24)
    assert set(np.unique(agreed)) <= {0, 1, 2, 255}
    head, model.class_head = model.class_head, None
    alone = model.agreement_map(image.image_rgb, **arguments)
    model.class_head = head
    assert (alone[agreed == 0] == 0).all()
    assert (alone[agreed == 255] != 0).all()
    assert not (alone == 255).any()


def test_an_image_without_points_trains_as_unlabelled(images, tmp_path):
    empty = PointImage(images[0].image_rgb, np.zeros((0, 2)), np.zeros(0, int))
    model = train([*images, empty], tmp_path)
    assert agreement(model, images) > 0.95


def test_no_points_at_all_is_an_error(images, tmp_path):
    empty = PointImage(images[0].image_rgb, np.zeros((0, 2)), np.zeros(0, int))
    with pytest.raises(ValueError, match='expected an image with points'):
        train([empty], tmp_path)


def test_the_loss_reads_the_logits_at_the_cells_of_the_targets():
    head = MODELS.build(dict(type='mmp2seg.PointClassHead', in_channels=(3,), num_classes=1)).eval()
    model = ClassHeadModel(
        head=head, strides=(4,), grid_stride=4, loss=dict(type='mmp2seg.PositiveUnlabeledLoss')
    )
    level = torch.randn(3, 2, 3)
    targets = torch.tensor([[0, 1, 255], [1, 0, 0]])
    logits = head([level])[0].flatten(1)
    expected = model.loss(logits, targets.flatten())
    assert torch.allclose(model([[level]], [targets])['loss'], expected, atol=1e-6)
