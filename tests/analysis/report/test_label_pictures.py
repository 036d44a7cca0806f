import numpy as np
import pytest
from PIL import Image

from mmp2seg.analysis.report.label_pictures import LabelPictures
from mmp2seg.analysis.report.scored_points import scored_points
from mmp2seg.evaluation.functional.truth_file import TruthFile


def test_pictures_are_in_the_order_of_the_points(label_folder):
    pictures = LabelPictures(label_folder.labels, label_folder.images)
    points = scored_points(label_folder.labels)
    drawn = pictures.of_objects(points)
    for order in ([3, 0, 2, 1], [2, 3]):  # images alternate
        again = pictures.of_objects([points[index] for index in order])
        assert len(again) == len(order)
        assert all(np.array_equal(a, drawn[index]) for a, index in zip(again, order, strict=True))
    assert pictures.of_objects([]) == pictures.of_failures([]) == []


def test_the_truth_has_a_picture_if_it_is_known(label_folder):
    truth = TruthFile(label_folder.root / 'truth.json')
    pictures = LabelPictures(label_folder.labels, label_folder.images)
    points = scored_points(label_folder.labels, truth)
    known, unknown = points[0], points[3]
    alone = pictures.of_objects(scored_points(label_folder.labels))
    with_truth = pictures.of_objects([known, unknown])
    assert with_truth[0].shape[1] > alone[0].shape[1]
    assert np.array_equal(with_truth[1], alone[3])


def test_failures_with_the_maps_that_there_are(label_folder):
    dropped = label_folder.labels['dropped_points']
    plain = LabelPictures(label_folder.labels, label_folder.images)
    mapped = LabelPictures(label_folder.labels, label_folder.images, label_folder.maps)
    assert (plain.has_maps, mapped.has_maps) == (False, True)
    first, second = mapped.of_failures(dropped)
    alone = plain.of_failures(dropped)
    assert first.shape[1] > alone[0].shape[1]
    assert np.array_equal(second, alone[1])  # its image has no map


@pytest.mark.parametrize('name', ['../secret.png', '/etc/secret.png', 'a/../../secret.png'])
def test_names_cannot_leave_the_folder(label_folder, name):
    label_folder.labels['images'][0]['file_name'] = name
    with pytest.raises(ValueError, match='expected images below it, got .*secret.png'):
        LabelPictures(label_folder.labels, label_folder.images)


def test_files_that_do_not_fit(label_folder):
    labels, dropped = label_folder.labels, label_folder.labels['dropped_points']
    pictures = LabelPictures(labels, label_folder.images, label_folder.maps)
    Image.fromarray(np.full((40, 60), 9, np.uint8)).save(label_folder.maps / 'a.png')
    with pytest.raises(ValueError, match=r'maps/a.png: expected values 0..2 or 255, got \[9\]'):
        pictures.of_failures(dropped)
    Image.fromarray(np.zeros((4, 6), np.uint8)).save(label_folder.maps / 'a.png')
    with pytest.raises(ValueError, match=r'maps/a.png: expected the size of the image \(40, 60\)'):
        pictures.of_failures(dropped)
    Image.new('RGB', (30, 20)).save(label_folder.images / 'a.png')
    with pytest.raises(ValueError, match=r'image a.png: expected a mask of its size \[20, 30\]'):
        pictures.of_objects(scored_points(labels))
    (label_folder.images / 'a.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'a.png'):
        pictures.of_objects(scored_points(labels))
