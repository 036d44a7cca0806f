import numpy as np
import pytest

from mmp2seg.registry import TRANSFORMS
from mmp2seg.structures import PointBoxes

SIZE = (300, 400)


def sample(points, *, img_id=7, ids=None, **changes):
    points = np.array(points, dtype=np.float32).reshape(-1, 2)
    results = dict(
        gt_bboxes=PointBoxes(points),
        gt_instances_ids=np.arange(len(points)) if ids is None else np.array(ids),
        img_id=img_id,
        img_shape=SIZE,
        ori_shape=SIZE,
        img_path='a.jpg',
    )
    return {**results, **changes}


def drifted(points, *, sigma=5.0, seed=0, **changes):
    transform = TRANSFORMS.build(dict(type='mmp2seg.DriftPoints', sigma=sigma, seed=seed))
    return transform(sample(points, **changes))['gt_bboxes'].numpy()


def test_sigma_zero_moves_nothing():
    assert drifted([[10.25, 20.5], [0.0, 0.0]], sigma=0.0).tolist()[0] == [10.25, 20.5]


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
    assert moved.min() == 0.5
    assert moved[:, 0].max() == 399.5
    assert moved[:, 1].max() == 299.5


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
