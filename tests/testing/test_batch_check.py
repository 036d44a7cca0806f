import pytest
import torch

from mmp2seg.codecs import PointBatch
from mmp2seg.models.distillation import mutual_distiller
from mmp2seg.testing import batch_check
from mmp2seg.testing.batch_check import compare_parts, compare_targets, make_batch


@pytest.fixture(scope='module')
def batch():
    return make_batch(size=(64, 64))


def test_a_batch_has_what_makes_trouble(batch):
    assert [len(image.labels) for image in batch.images] == [5, 0, 1, 9]
    assert batch.padding[-1].any() and not batch.padding[:-1].any()
    assert (batch.weak_maps[batch.padding] == 255).all()
    for image in batch.images:
        assert (image.points_xy < 64).all()


@pytest.fixture
def joined(monkeypatch):
    """Join images as on a GPU; return what changes the joined points."""
    changes = []
    of = PointBatch.of

    def changed(images):
        points = of(images)
        for change in changes:
            change(points)
        return points

    monkeypatch.setattr(mutual_distiller, '_can_be_joined', lambda image: True)
    monkeypatch.setattr(PointBatch, 'of', changed)
    return changes


def test_the_targets_of_a_batch_are_those_of_its_images(batch, joined):
    findings = compare_targets(batch, 'cpu')
    assert len(findings) == 2 * len(batch_check.ROUNDS)
    assert all(one.ok and one.changed == 0 for one in findings)


def test_other_targets_are_found(batch, joined):
    joined.append(lambda points: points.points_xy.add_(9))
    findings = {one.what: one for one in compare_targets(batch, 'cpu')}
    assert not findings['instances, offsets alone'].ok
    assert not findings['instances, guided affinity'].ok


def test_connected_parts(monkeypatch):
    assert compare_parts('cpu', trials=6) == ('connected parts of 6 batches', 0.0, 0.0)
    keep, calls = batch_check.keep_connected, []

    def wrong_the_last_time(maps, points):
        calls.append(maps)
        return keep(maps, points) if len(calls) < 4 else torch.zeros_like(maps)

    monkeypatch.setattr(batch_check, 'keep_connected', wrong_the_last_time)
    found = compare_parts('cpu', trials=2)
    assert not found.ok and found.changed > 0.1
