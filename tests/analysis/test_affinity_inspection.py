import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData

from mmp2seg.analysis.affinity_inspection import (
    RELATIONS,
    affinity_of_cells,
    cells_of_points,
    inspect_affinity,
    mean_affinity_by_relation,
    require_affinity_head,
)
from mmp2seg.apis.arguments import CommandError
from mmp2seg.models.distillation import SemanticScorer, semantic_scorer
from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config

# 24 x 40 pixels, resized from 12 x 20, padded to 32 x 48; cells of 2 pixels
HEIGHT, WIDTH, GRID = 24, 40, (16, 24)
TITLES = ['weak map', 'map of the network', 'S of the network', 'S of the weak map']


@pytest.fixture
def model():
    """A model that predicts class 0, embedded as +4, for x < 20 of any input, else -4."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(tiny_p2seg_config()).eval()
    sign = torch.ones(1, 1, *GRID)
    sign[..., 10:] = -1
    logits = torch.cat([-9 * sign, 9 * sign, torch.full_like(sign, -20)], dim=1)
    maps = logits, torch.zeros(1, 2, *GRID), 4 * sign
    model._forward = lambda inputs, samples=None: maps
    return model


def data(points, labels, *, hole=True):
    """A sample whose weak map is the left half, with a hole and a spot on the right."""
    weak_map = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.uint8)
    weak_map[..., :20] = 1
    if hole:
        weak_map[:, 4:8, 4:8] = 0
        weak_map[:, 4:8, 30:34] = 1
    sample = DetDataSample(
        metainfo=dict(img_path='a.png', img_shape=(HEIGHT, WIDTH), ori_shape=(12, 20))
    )
    sample.gt_sem_seg = PixelData(sem_seg=weak_map)
    sample.gt_instances = InstanceData(
        points=torch.tensor(points).reshape(-1, 2),
        labels=torch.tensor(labels, dtype=torch.int64),
        point_ids=torch.arange(len(labels)),
    )
    ori_points = sample.gt_instances.points.double() / 2
    sample.ori_points = InstanceData(
        points=ori_points,
        labels=sample.gt_instances.labels,
        point_ids=sample.gt_instances.point_ids,
    )
    image = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)
    return dict(inputs=image, data_samples=sample)


def truth_of_two_objects():
    """True instances in the original frame: one in the left half, one of class 1 in the right."""
    instance_map = np.zeros((12, 20), dtype=np.int32)
    instance_map[:, :10] = 1
    instance_map[:6, 15:] = 2
    return instance_map, np.array([0, 1])


def test_affinity_of_the_points_and_figures_by_hand(model):
    sample = data([[3.0, 5.0], [35.0, 2.0], [99.0, 1.0]], [0, 1, 0])
    view = inspect_affinity(model, sample, truth=truth_of_two_objects(), with_maps=False)
    assert (view.size, view.padded_size, view.img_path) == ((24, 40), (32, 48), 'a.png')
    assert view.cells.tolist() == [[2, 1], [1, 17]]  # the point outside is left out
    assert view.labels.tolist() == [0, 1]
    high, low = (1 / (1 + math.exp(-x)) for x in (16, -16))
    expected = np.full((2, *GRID), low)
    expected[0, :, :10] = expected[1, :, 10:] = high
    np.testing.assert_allclose(view.affinity, expected, atol=1e-6)
    assert view.semantic_maps == {}
    assert view.num_owned == 2
    # background is the right half: its affinity is low to the first point, high to the second
    values = [high, math.nan, low, (high + low) / 2]
    assert list(view.figures.values()) == pytest.approx(values, abs=1e-6, nan_ok=True)


def test_points_in_no_instance_of_their_class_have_no_figures(model):
    sample = data([[3.0, 5.0], [25.0, 20.0]], [1, 0])  # the other class; background
    view = inspect_affinity(model, sample, truth=truth_of_two_objects(), with_maps=False)
    assert view.num_owned == 0
    assert all(math.isnan(value) for value in view.figures.values())


def test_maps_show_what_propagation_does(model):
    sample = data([[3.0, 5.0]], [0])
    view = inspect_affinity(model, sample, truth=truth_of_two_objects())
    maps = view.semantic_maps
    assert list(maps) == [*TITLES, 'true map']
    assert {values.shape for values in maps.values()} == {(HEIGHT, WIDTH)}
    clean = np.zeros((HEIGHT, WIDTH), dtype=int)
    clean[:, :20] = 1
    assert maps['weak map'][5, 5] == 0 and maps['weak map'][5, 31] == 1
    assert np.array_equal(maps['S of the weak map'], clean)  # hole and spot are gone
    for title in ('map of the network', 'S of the network'):
        assert np.array_equal(maps[title], clean)
    assert maps['true map'][5, 5] == 1 and maps['true map'][11, 30] == 2
    assert maps['true map'][12, 30] == 0


def test_maps_hold_the_classes_of_the_image_alone(model):
    maps = inspect_affinity(model, data([[3.0, 5.0]], [1])).semantic_maps
    assert list(maps) == TITLES
    assert all(set(np.unique(maps[title])) <= {0, 2} for title in TITLES[1:])


def test_rounds_are_the_distillers_and_one_where_it_has_none(model, monkeypatch):
    seen, original = [], semantic_scorer.propagate
    monkeypatch.setattr(
        semantic_scorer,
        'propagate',
        lambda *args, **options: seen.append(options['rounds']) or original(*args, **options),
    )
    for rounds in (3, 0):
        model.distiller.scorer = SemanticScorer(rounds=rounds)
        inspect_affinity(model, data([[3.0, 5.0]], [0]))
    assert seen == [3] * 2 + [1] * 2


def test_without_truth_the_figures_are_of_decoded_instances(model):
    # the second point has no region: no instance
    sample = data([[35.0, 5.0], [3.0, 5.0]], [1, 0])
    view = inspect_affinity(model, sample, with_maps=False)
    assert view.num_owned == 1
    low = 1 / (1 + math.exp(16))
    values = [1 - low, math.nan, math.nan, low]
    assert list(view.figures.values()) == pytest.approx(values, abs=1e-6, nan_ok=True)


def test_image_without_points(model):
    view = inspect_affinity(model, data([], []))
    assert view.affinity.shape == (0, *GRID)
    assert view.num_owned == 0
    assert not view.semantic_maps['S of the weak map'].any()


def test_network_without_affinity_head():
    with pytest.raises(CommandError, match='no affinity_head'):
        require_affinity_head(MODELS.build(tiny_p2seg_config(affinity_head=None)))
    with pytest.raises(CommandError, match='no affinity_head'):
        require_affinity_head(SimpleNamespace())


def test_cells_of_points_by_hand():
    points = torch.tensor([[0.0, 0.0], [3.9, 4.0], [4.0, 3.9], [15.99, 7.99]])
    cells = cells_of_points(points, size=(8, 16), grid=(2, 4))
    assert cells.tolist() == [[0, 0], [1, 0], [0, 1], [1, 3]]
    assert cells.dtype == torch.int64


def test_a_point_rounded_onto_the_border_stays_in_the_last_cell():
    almost = torch.tensor([[99.999996, 99.999996]])
    assert cells_of_points(almost, size=(100, 100), grid=(33, 33)).tolist() == [[32, 32]]


def test_no_points():
    assert cells_of_points(torch.zeros(0, 2), size=(8, 8), grid=(2, 2)).shape == (0, 2)
    cells = torch.zeros(0, 2, dtype=torch.int64)
    assert affinity_of_cells(torch.ones(3, 2, 2), cells).shape == (0, 2, 2)


def test_affinity_of_cells_by_hand():
    # cells (1, 0), (0, 2), (-1, 0) in a row
    embedding = torch.tensor([[[1.0, 0.0, -1.0]], [[0.0, 2.0, 0.0]]])
    affinity = affinity_of_cells(embedding, torch.tensor([[0, 0], [0, 1]]))
    sigmoid = [1 / (1 + math.exp(-x)) for x in (1, 0, -1, 4)]
    expected = [[sigmoid[:3]], [[sigmoid[1], sigmoid[3], sigmoid[1]]]]
    torch.testing.assert_close(affinity, torch.tensor(expected))


def test_affinity_is_float32_also_of_a_half_precision_embedding():
    affinity = affinity_of_cells(torch.ones(3, 1, 1).bfloat16(), torch.zeros(1, 2).long())
    assert affinity.dtype == torch.float32


# two instances of class 5, one of class 7, background, one ignored cell
INSTANCE_MAP = torch.tensor([[1, 1, 2], [3, 0, -1]])
INSTANCE_LABELS = torch.tensor([5, 5, 7])
AFFINITY = torch.tensor(
    [
        [[1.0, 0.8, 0.4], [0.2, 0.1, 99.0]],
        [[0.3, 0.1, 0.7], [0.4, 0.5, 99.0]],
        [[99.0, 99.0, 99.0], [99.0, 99.0, 99.0]],
    ]
)


def test_mean_affinity_by_hand():
    owners = torch.tensor([1, 2, 0])  # the last point has no instance
    means = mean_affinity_by_relation(AFFINITY, owners, INSTANCE_MAP, INSTANCE_LABELS)
    assert list(means) == list(RELATIONS)
    expected = [(0.9 + 0.7) / 2, (0.4 + 0.2) / 2, (0.2 + 0.4) / 2, (0.1 + 0.5) / 2]
    assert list(means.values()) == pytest.approx(expected)


def test_a_point_without_cells_of_a_kind_does_not_count_for_it():
    owners = torch.tensor([1, 3])  # instance 3 is alone in its class
    means = mean_affinity_by_relation(AFFINITY[:2], owners, INSTANCE_MAP, INSTANCE_LABELS)
    expected = [(0.9 + 0.4) / 2, 0.4, (0.2 + (0.3 + 0.1 + 0.7) / 3) / 2, (0.1 + 0.5) / 2]
    assert list(means.values()) == pytest.approx(expected)


def test_means_of_no_points_are_nan():
    nothing = torch.zeros(1, dtype=torch.int64)
    means = mean_affinity_by_relation(AFFINITY[:1], nothing, INSTANCE_MAP, INSTANCE_LABELS)
    assert all(math.isnan(value) for value in means.values())
    empty = mean_affinity_by_relation(
        AFFINITY[:0], nothing[:0], torch.zeros(2, 3, dtype=torch.int32), nothing[:0]
    )
    assert all(math.isnan(value) for value in empty.values())
