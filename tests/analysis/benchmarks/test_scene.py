import numpy as np
import pytest
import torch

from mmp2seg.analysis.benchmarks.scene import make_scene, network_maps, training_sample
from mmp2seg.codecs import PointPseudoLabeler
from mmp2seg.codecs.data_samples import image_points
from mmp2seg.ops.offsets import landing_positions


@pytest.mark.parametrize('num_points', [1, 12, 200])
def test_scene(num_points):
    scene = make_scene(num_points, (120, 160))
    assert scene.points_xy.shape == (num_points, 2)
    assert ((scene.points_xy >= 0) & (scene.points_xy < (160, 120))).all()
    assert len(set(scene.labels.tolist())) <= 4
    assert 0.2 < (scene.instance_map > 0).mean() < 0.8
    assert (scene.weak_map == 255).any()
    same = scene.weak_map == np.append(0, scene.labels + 1)[scene.instance_map]
    assert 0.9 < same.mean() < 1  # the weak map has errors but resembles the scene


def test_scenes_repeat():
    first, second = make_scene(6, (64, 64)), make_scene(6, (64, 64))
    np.testing.assert_array_equal(first.weak_map, second.weak_map)
    assert not np.array_equal(first.labels, make_scene(7, (64, 64)).labels[:6])


def test_maps_of_a_network_decode_to_the_objects():
    scene = make_scene(12, (96, 128))
    logits, offset, embedding = network_maps(scene, channels=32)
    assert logits.shape == (1, 21, 24, 32)
    assert offset.shape == (1, 2, 24, 32)
    assert embedding.shape == (1, 32, 24, 32)
    instances = torch.from_numpy(scene.instance_map)[2::4, 2::4]
    agreement = (logits[0].argmax(dim=0) > 0) == (instances > 0)
    assert agreement.float().mean() > 0.9
    landing = landing_positions(torch.nn.functional.interpolate(offset, size=(96, 128))[0])
    points = torch.from_numpy(scene.points_xy)[instances.long() - 1].permute(2, 0, 1)
    distance = (landing[:, 2::4, 2::4] - points).norm(dim=0)[instances > 0]
    assert distance.median() < 8


def test_training_sample_is_what_the_pipeline_packs():
    scene = make_scene(5, (64, 96), num_classes=4)
    packed = training_sample(scene)
    assert packed['inputs'].shape == (3, 64, 96)
    sample = packed['data_samples']
    assert sample.gt_sem_seg.sem_seg.shape == (1, 64, 96)
    labeler = PointPseudoLabeler(min_region_area=3)
    expected = labeler.encode(scene.points_xy, scene.labels, scene.weak_map)
    targets = labeler.image_targets(image_points(sample))
    assert torch.equal(targets.instance_map, expected.instance_map)
    assert len(sample.gt_instances) == len(sample.ori_points) == 5
