import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from mmp2seg.registry import TRANSFORMS
from mmp2seg.structures import PointBoxes

SIZE = (300, 400)


def sample(points, *, img_id=7, ids=None, **changes):
    points = np.array(points, dtype=np.float64).reshape(-1, 2)
    ids = np.arange(len(points)) if ids is None else np.array(ids)
    results = dict(
        gt_bboxes=PointBoxes(points.astype(np.float32)),
        gt_instances_ids=ids,
        ori_points=InstanceData(points=torch.from_numpy(points), point_ids=torch.from_numpy(ids)),
        img_id=img_id,
        img_shape=SIZE,
        ori_shape=SIZE,
        img_path='a.jpg',
    )
    return {**results, **changes}


def drifted(points, *, sigma=5.0, seed=0, **changes):
    transform = TRANSFORMS.build(dict(type='mmp2seg.DriftPoints', sigma=sigma, seed=seed))
    results = transform(sample(points, **changes))
    moved = results['ori_points'].points.numpy()
    assert np.allclose(results['gt_bboxes'].numpy(), moved, atol=1e-3)
    return moved


def test_sigma_zero_moves_nothing():
    points = [[10.25, 20.5], [0.0, 0.0], [0.2, 10.3], [399.9, 299.7]]
    assert drifted(points, sigma=0.0).tolist() == points


def test_a_point_that_stays_inside_keeps_its_drift_at_the_border():
    free = drifted([[200.0, 150.0]] * 500, sigma=0.1) - [200.0, 150.0]
    moved = drifted([[0.3, 150.0]] * 500, sigma=0.1)
    inside = 0.3 + free[:, 0] >= 0
    assert np.allclose(moved[inside, 0], 0.3 + free[inside, 0])
    assert inside.any() and (moved[~inside, 0] == 0.5).all()


def test_drift_has_the_deviation_asked_for():
    drift = drifted([[200.0, 150.0]] * 2000, sigma=8.0) - [200.0, 150.0]
    assert np.abs(drift.mean(0)).max() < 0.6
    assert np.allclose(drift.std(0), 8.0, rtol=0.06)
    assert abs(np.corrcoef(drift.T)[0, 1]) < 0.06


def test_drift_depends_on_seed_image_and_point_alone():
    first = drifted([[200.0, 150.0], [100.0, 100.0]])
    assert np.array_equal(first, drifted([[200.0, 150.0], [100.0, 100.0]]))
    alone = drifted([[100.0, 100.0]], ids=[1])
    assert np.array_equal(alone[0], first[1])
    others = [
        drifted([[200.0, 150.0]], seed=1)[0],
        drifted([[200.0, 150.0]], img_id=8)[0],
        drifted([[200.0, 150.0]], ids=[1])[0],
    ]
    assert len({tuple(point) for point in [first[0], *others]}) == 4


def test_points_stay_in_the_image():
    corners = [[0.5, 0.5], [399.5, 299.5]] * 200
    moved = drifted(corners, sigma=50.0)
    assert moved.min() >= 0 and (moved < [400, 300]).all()
    assert (moved[:, 0] == 0.5).any() and (moved[:, 0] == 399.5).any()
    assert (moved[:, 1] == 0.5).any() and (moved[:, 1] == 299.5).any()


def test_a_point_outside_is_not_pulled_inside():
    assert drifted([[1000.0, 100.0]])[0, 0] > 900


def test_no_points():
    assert drifted([]).shape == (0, 2)


@pytest.mark.parametrize('changes', [dict(img_shape=(150, 200)), dict(flip=True)])
def test_after_a_geometric_transform(changes):
    with pytest.raises(ValueError, match='a.jpg: expected DriftPoints before'):
        drifted([[10.0, 10.0]], **changes)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(sigma=-1.0), 'expected sigma >= 0 pixels, got -1.0'),
        (dict(sigma=float('nan')), 'expected sigma'),
        (dict(sigma=1.0, seed=-1), 'expected seed >= 0'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        TRANSFORMS.build(dict(type='mmp2seg.DriftPoints', **options))
