import dataclasses

import numpy as np
import pytest

from mmp2seg.datasets.shapes.scene import (
    MIN_VISIBLE_PIXELS,
    SHAPES_CLASSES,
    SHAPES_PALETTE,
    generate_scene,
)
from mmp2seg.ops.adjacency import adjacent_same_class
from mmp2seg.ops.semantic_iou import confusion_matrix, mean_iou

COUNT = 150


@pytest.fixture(scope='module')
def scenes():
    return [generate_scene(index, seed=0) for index in range(COUNT)]


def test_types_and_shapes(scenes):
    for scene in scenes:
        count = len(scene.labels)
        assert scene.image.shape == (128, 128, 3)
        assert scene.image.dtype == np.uint8
        assert scene.instance_map.dtype == np.int32
        assert scene.semantic_map.dtype == scene.weak_map.dtype == np.uint8
        assert scene.labels.dtype == np.int64
        assert scene.points_xy.shape == (count, 2)
        assert scene.points_xy.dtype == np.float32
        assert ((scene.labels >= 0) & (scene.labels < len(SHAPES_CLASSES))).all()
        assert set(np.unique(scene.weak_map)) <= set(range(len(SHAPES_CLASSES) + 1))


def test_every_object_is_visible_and_maps_agree(scenes):
    for scene in scenes:
        areas = np.bincount(scene.instance_map.ravel(), minlength=len(scene.labels) + 1)
        assert len(areas) == len(scene.labels) + 1
        assert (areas[1:] >= MIN_VISIBLE_PIXELS).all()
        values = np.append(0, scene.labels + 1)
        np.testing.assert_array_equal(scene.semantic_map, values[scene.instance_map])


def test_points_are_pixel_centres_of_their_object(scenes):
    for scene in scenes:
        np.testing.assert_array_equal(scene.points_xy % 1, np.full_like(scene.points_xy, 0.5))
        cols, rows = scene.points_xy.astype(int).T
        np.testing.assert_array_equal(
            scene.instance_map[rows, cols], np.arange(len(scene.labels)) + 1
        )


def test_points_are_not_always_central(scenes):
    distances = []
    for scene in scenes:
        for i, point in enumerate(scene.points_xy):
            rows, cols = np.nonzero(scene.instance_map == i + 1)
            centre = cols.mean() + 0.5, rows.mean() + 0.5
            distances.append(np.hypot(*(point - centre)) / np.sqrt(len(rows)))
    assert (np.array(distances) < 0.25).mean() > 0.3
    assert (np.array(distances) > 0.35).mean() > 0.2


def test_scene_depends_on_seed_and_index_alone(scenes):
    for index in (7, 3):
        again = generate_scene(index, seed=0)
        for field in dataclasses.fields(again):
            np.testing.assert_array_equal(
                getattr(again, field.name), getattr(scenes[index], field.name)
            )
    assert not np.array_equal(generate_scene(7, seed=1).image, scenes[7].image)
    assert not np.array_equal(scenes[7].image, scenes[8].image)


def test_strength_of_the_weak_map_changes_nothing_else(scenes):
    index = next(i for i, scene in enumerate(scenes) if len(scene.labels))
    scene = generate_scene(index, weak_strength=0)
    np.testing.assert_array_equal(scene.weak_map, scene.semantic_map)
    np.testing.assert_array_equal(scene.image, scenes[index].image)
    np.testing.assert_array_equal(scene.points_xy, scenes[index].points_xy)


def test_the_data_set_has_what_it_promises(scenes):
    labels = np.concatenate([scene.labels for scene in scenes])
    touching = [adjacent_same_class(scene.instance_map, scene.labels) for scene in scenes]
    areas = np.concatenate([np.bincount(scene.instance_map.ravel())[1:] for scene in scenes])
    assert 2.6 < len(labels) / COUNT < 4.2
    assert (np.bincount(labels, minlength=len(SHAPES_CLASSES)) > 0.12 * len(labels)).all()
    assert 0.55 < np.concatenate(touching).mean() < 0.8
    assert np.mean([some.any() for some in touching]) > 0.5  # in most images
    assert 0.01 < np.mean([len(scene.labels) == 0 for scene in scenes]) < 0.12
    assert (areas < 150).mean() > 0.05
    cut = [
        np.unique(np.concatenate([m[0], m[-1], m[:, 0], m[:, -1]])).any()
        for m in (scene.instance_map for scene in scenes)
    ]
    assert np.mean(cut) > 0.15


def test_weak_maps_have_about_70_miou(scenes):
    matrix = sum(
        confusion_matrix(scene.weak_map, scene.semantic_map, num_classes=len(SHAPES_CLASSES))
        for scene in scenes
    )
    assert 0.66 < mean_iou(matrix) < 0.74


def test_colour_hints_at_the_class_but_does_not_tell_it(scenes):
    """Classify by the nearest mean colour: better than chance, but often wrong."""
    colours, labels = [], []
    for scene in scenes:
        for i, label in enumerate(scene.labels):
            colours.append(scene.image[scene.instance_map == i + 1].mean(0))
            labels.append(label)
    colours, labels = np.array(colours), np.array(labels)
    colours = colours / colours.sum(1, keepdims=True)
    means = np.stack([colours[labels == k].mean(0) for k in range(len(SHAPES_CLASSES))])
    guessed = np.linalg.norm(colours[:, None] - means, axis=2).argmin(1)
    assert 0.4 < (guessed == labels).mean() < 0.85


def test_other_sizes_scale_the_objects():
    def share(size):
        return np.mean([(generate_scene(i, size=size).instance_map > 0).mean() for i in range(20)])

    assert generate_scene(0, size=(64, 96)).image.shape == (64, 96, 3)
    assert share((192, 192)) == pytest.approx(share((96, 96)), rel=0.1)


def test_palette_has_a_colour_per_class():
    assert len(SHAPES_PALETTE) == len(SHAPES_CLASSES) == len(set(SHAPES_PALETTE))


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(index=-1), 'got -1 and 0'),
        (dict(index=0, seed=-2), 'got 0 and -2'),
        (dict(index=0, size=(128, 16)), '128 x 16'),
    ],
)
def test_wrong_arguments_are_errors(kwargs, message):
    with pytest.raises(ValueError, match=message):
        generate_scene(**kwargs)
