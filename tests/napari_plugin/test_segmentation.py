import cv2
import numpy as np
import pytest
import torch

from mmp2seg.apis.inferencer import P2SegInferencer
from mmp2seg.napari_plugin.segmentation import (
    ModelChoice,
    PointMaskModel,
    SliceImages,
    class_map,
)
from mmp2seg.napari_plugin.slices import SlicePoints
from mmp2seg.testing import write_tiny_voc

SEGMENTER = """model = dict(
    type='mmp2seg.PointSegmenter',
    backbone=dict(type='mmp2seg.EfficientNetLite', out_indices=(3, 4)),
    long_side=64,
    spacing=1.0,
)
"""


@pytest.fixture
def choice(tmp_path):
    (tmp_path / 'segmenter.py').write_text(SEGMENTER)
    return ModelChoice(str(tmp_path / 'segmenter.py'), device='cpu')


@pytest.fixture
def photo(tmp_path):
    """RGB as napari has it."""
    write_tiny_voc(tmp_path)
    return cv2.imread(str(sorted((tmp_path / 'JPEGImages').iterdir())[0]))[..., ::-1]


def of_slice(points_xy, classes, *, rows=None, index=()):
    rows = range(len(classes)) if rows is None else rows
    points_xy = np.array(points_xy, float).reshape(-1, 2)
    return SlicePoints(index, np.array(rows, int), points_xy, tuple(classes))


def segment(choice, images, slices, *, model=None, **options):
    torch.manual_seed(0)
    return list((model or PointMaskModel()).segment(choice, images, slices, **options))


def test_the_masks_are_those_of_the_inferencer(choice, photo):
    points = [(8.5, 8.5), (23.5, 8.5), (99, 5), (14.5, 25.5)]
    classes = ['bar', 'bar', 'block', 'block']
    one = of_slice(points, classes, rows=[3, 5, 6, 9])
    (result,) = segment(choice, SliceImages(photo, rgb=True), [one])
    torch.manual_seed(0)
    inferencer = P2SegInferencer(choice.config, device='cpu')
    expected = inferencer(np.ascontiguousarray(photo[..., ::-1]), points, classes)
    rows = np.array([0, 4, 6, 7, 10])  # 0, and the row of each point and one
    assert (result.instances == rows[expected.index_map()]).all()
    assert [outcome.row for outcome in result.outcomes] == [3, 5, 6, 9]
    assert [outcome.class_name for outcome in result.outcomes] == classes
    scores = [outcome.score for outcome in result.outcomes]
    assert scores[2] is None and result.outcomes[2].message == 'the point is not inside the image'
    assert [*scores[:2], scores[3]] == pytest.approx(expected.scores.tolist())


def test_background_points_are_clicks_on_background(choice, photo):
    one = of_slice([(8.5, 8.5), (40, 35)], ['bar', 'background'])
    alone = of_slice([(8.5, 8.5)], ['bar'])
    images = SliceImages(photo, rgb=True)
    (result,), (without,) = (segment(choice, images, [points]) for points in (one, alone))
    assert len(result.outcomes) == 1
    assert result.instances[35, 40] == 0
    assert (result.instances != without.instances).any()


def test_a_slice_with_background_points_alone(choice, photo):
    one = of_slice([(8.5, 8.5)], ['background'])
    (result,) = segment(choice, SliceImages(photo, rgb=True), [one])
    assert not result.outcomes and not result.instances.any()
    assert result.instances.shape == photo.shape[:2]


def test_slices_of_a_stack_are_read_one_by_one(choice, photo):
    class Lazy:
        """An array that knows which slices were read."""

        def __init__(self, values):
            self.values, self.read = values, []

        def __getitem__(self, index):
            self.read.append(index)
            return self.values[index]

    stack = Lazy(np.stack([photo, photo[::-1], photo]))
    slices = [of_slice([(8.5, 8.5)], ['bar'], index=(k,), rows=[k]) for k in (0, 2)]
    results = segment(choice, SliceImages(stack, rgb=True), slices)
    assert stack.read == [(0,), (2,)]
    assert [result.index for result in results] == [(0,), (2,)]
    first, second = (result.instances for result in results)
    assert set(np.unique(first)) == {0, 1} and (second == 3 * first).all()


def test_a_model_is_built_once_and_looks_at_a_slice_once(choice, photo, monkeypatch):
    looks, builds = [], []
    set_image, build = P2SegInferencer.set_image, P2SegInferencer.__init__
    monkeypatch.setattr(
        P2SegInferencer, 'set_image', lambda *args: (looks.append(1), set_image(*args))[1]
    )

    def counted(self, *args):
        builds.append(args)
        build(self, *args)

    monkeypatch.setattr(P2SegInferencer, '__init__', counted)
    model, images = PointMaskModel(), SliceImages(photo.copy(), rgb=True)
    for points in ([(8.5, 8.5)], [(8.5, 8.5), (23.5, 8.5)]):
        segment(choice, images, [of_slice(points, ['bar'] * len(points))], model=model)
    assert len(looks) == len(builds) == 1
    images.data[:] = 7  # edited in place
    segment(choice, images, [of_slice([(8.5, 8.5)], ['bar'])], model=model)
    assert len(looks) == 2
    other = ModelChoice(choice.config)
    segment(other, images, [of_slice([(8.5, 8.5)], ['bar'])], model=model)
    assert [args[2] for args in builds] == ['cpu', None]


def test_errors_of_the_model_are_those_of_the_inferencer(tmp_path):
    with pytest.raises(ValueError, match=r'gone\.py'):
        PointMaskModel().load(ModelChoice(str(tmp_path / 'gone.py')))


def test_class_map():
    instances = np.array([[0, 1, 3], [2, 3, 0]])
    assert class_map(instances, {0: 2, 2: 1, 9: 4}).tolist() == [[0, 2, 1], [0, 1, 0]]
    assert class_map(np.zeros((1, 2), int), {0: 1}).tolist() == [[0, 0]]
