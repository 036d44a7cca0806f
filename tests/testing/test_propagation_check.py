import pytest
import torch

from mmp2seg.testing import propagation_check


@pytest.fixture
def scene():
    return propagation_check.make_scene(size=48, num_points=4)


def test_a_device_agrees_with_itself(scene):
    findings = propagation_check.compare(scene, 'cpu')
    assert [finding.what for finding in findings] == [
        *propagation_check.AFFINITIES,
        'instances of a round, share',
    ]
    assert all(finding.ok and finding.difference == 0 for finding in findings)


def test_a_difference_is_found(scene, monkeypatch):
    """Of two calls of each affinity, the second has other scores."""
    propagated, calls = propagation_check._propagated, []

    def drifting(affinity, of_scene):
        calls.append(affinity)
        return propagated(affinity, of_scene) + (0.01 if len(calls) % 2 == 0 else 0)

    monkeypatch.setattr(propagation_check, '_propagated', drifting)
    *affinities, _ = propagation_check.compare(scene, 'cpu')
    assert not any(finding.ok for finding in affinities)


def test_the_scene_has_objects_to_find(scene):
    instances = propagation_check.instances_of(scene)
    assert instances.unique().tolist() == [0, 1, 2, 3, 4]
    assert torch.allclose(scene.probs.sum(0), torch.ones(48, 48))


def test_all_calls_run(scene):
    calls = propagation_check.timed_calls(scene, 'cpu')
    assert len(calls) == len(propagation_check.AFFINITIES) + 1
    assert all(isinstance(call(), torch.Tensor) for call in calls.values())
