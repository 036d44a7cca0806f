import numpy as np
import pytest

from mmp2seg.analysis.benchmarks import segmenter
from mmp2seg.analysis.benchmarks.scene import make_scene
from mmp2seg.segmenters import PointSegmenter


def test_the_image_shows_the_objects_and_changes_with_the_seed():
    scene = make_scene(3, (40, 56), num_classes=segmenter.NUM_CLASSES)
    image = segmenter.draw_image(scene)
    assert image.shape == (40, 56, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(segmenter.draw_image(scene), image)
    assert not np.array_equal(segmenter.draw_image(scene, seed=1), image)
    means = [image[scene.instance_map == n].mean(0) for n in np.unique(scene.instance_map)]
    assert np.ptp(means, axis=0).max() > 40


@pytest.mark.parametrize('images', [1, 3])
def test_a_call_segments_all_its_images(images, monkeypatch):
    seen = []
    forward = PointSegmenter.forward

    def watch(self, image_rgb, **call):
        result = forward(self, image_rgb, **call)
        seen.append((image_rgb, call['points_xy'], result))
        return result

    monkeypatch.setattr(PointSegmenter, 'forward', watch)
    call = segmenter.make_segmenter_call(dict(points=4, size=48, images=images, device='cpu'))
    assert seen == []
    call()
    call()
    assert len(seen) == 2 * images
    assert len({image.tobytes() for image, _, _ in seen}) == 2 * images
    for image, points_xy, result in seen:
        assert image.shape == (48, 48, 3)
        assert len(points_xy) == len(result.scores) == 4
        assert result.instance_map.any()
