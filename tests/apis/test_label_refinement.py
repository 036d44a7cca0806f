import pytest
from mmengine.config import Config

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.label_refinement import build_label_refiner, points_of_labels


def test_the_refiner_of_a_config():
    options = dict(type='mmp2seg.CandidateRefiner', min_iou=0.25)
    assert build_label_refiner(Config(dict(label_refiner=options))).min_iou == 0.25


@pytest.mark.parametrize('options', [None, {}, dict(type='mmp2seg.PointBaseline', rule='discs')])
def test_a_config_without_one(options):
    with pytest.raises(CommandError, match='expected a label_refiner'):
        build_label_refiner(Config(dict(label_refiner=options)))


def test_points_of_labels_have_the_ids_of_the_points():
    labels = dict(
        images=[dict(id=1)],
        categories=[dict(id=2)],
        annotations=[dict(id=9, image_id=1, category_id=2, point=[3, 4], point_id=5, area=1)],
        dropped_points=[dict(image_id=1, category_id=2, point=[5, 6], point_id=7, reason='x')],
    )
    assert points_of_labels(labels) == dict(
        images=[dict(id=1)],
        categories=[dict(id=2)],
        annotations=[
            dict(id=5, image_id=1, category_id=2, point=[3, 4]),
            dict(id=7, image_id=1, category_id=2, point=[5, 6]),
        ],
    )
