"""SamPointSegmenter with a network of known masks; test_sam_network.py has the real ones."""

import numpy as np
import pytest
import torch
from torch import nn

from mmp2seg.models.pretrained import PretrainedWeightsError
from mmp2seg.ops.rle import decode_rle
from mmp2seg.segmenters import SamPointSegmenter
from mmp2seg.segmenters.sam_network import EmbeddedImage
from mmp2seg.segmenters.sam_point_segmenter import make_prompts

HEIGHT, WIDTH = 30, 40
IMAGE = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
RADII = (4.0, 2.0, 60.0)  # of the candidates, not in the order of their sizes


class Discs(nn.Module):
    """Candidates of a prompt are discs around its first point, with these scores."""

    def __init__(self, scores=(0.5, 0.3, 0.9), radii=RADII):
        super().__init__()
        self.scores, self.radii = torch.tensor(scores), radii
        self.embedded, self.prompts = 0, []

    def embed(self, image_rgb):
        self.embedded += 1
        return EmbeddedImage({}, image_rgb.shape[:2], image_rgb.shape[:2])

    def candidates(self, image, points_xy, is_object):
        self.prompts.append((points_xy, is_object))
        rows, cols = np.indices(image.size)
        distance = np.hypot(
            cols + 0.5 - points_xy[:, :1, :1], rows + 0.5 - points_xy[:, :1, 1:]
        )  # (n, H, W)
        logits = torch.from_numpy(np.stack([r - distance for r in self.radii], axis=1)).float()
        return logits, self.scores.repeat(len(points_xy), 1)

    def to_image(self, logits, image):
        return logits


def segmenter(network=None, **options):
    built = SamPointSegmenter(weights='none', **options)
    built.network = network or Discs()
    return built


def segment(points, *, labels=None, background=None, network=None, frames=None, **options):
    labels = [0] * len(points) if labels is None else labels
    return segmenter(network, **options)(
        IMAGE,
        points_xy=points,
        labels=labels,
        num_classes=3,
        background_xy=background,
        frames=frames,
    )


def areas(result, count):
    return np.bincount(result.instance_map.ravel(), minlength=count + 1)[1:].tolist()


DISC = 52  # pixels within 4 of the corner of a pixel


def test_one_point_takes_the_candidate_with_the_best_score():
    result = segment([(20.0, 15.0)], network=Discs(scores=(0.5, 0.3, 0.2)))
    assert areas(result, 1) == [DISC]
    assert result.scores.tolist() == [0.5]
    assert result.reasons == ('',)
    (candidates,) = result.candidates
    found = [decode_rle(each.rle).sum() for each in candidates.masks]
    assert found == sorted(found) and found[1] == DISC and found[2] == HEIGHT * WIDTH
    assert [each.score for each in candidates.masks] == pytest.approx([0.3, 0.5, 0.2])
    assert candidates.chosen == 1
    assert (decode_rle(candidates.masks[1].rle) == (result.instance_map == 1)).all()


def test_a_mask_with_other_clicks_in_it_is_no_object():
    points = [(10.0, 15.0), (30.0, 15.0)]
    result = segment(points)  # the largest has the best score, and holds both
    assert areas(result, 2) == [DISC, DISC]
    result = segment(points, choice='score')
    assert sum(areas(result, 2)) == HEIGHT * WIDTH
    assert result.scores.tolist() == pytest.approx([0.9, 0.9])


def test_a_click_on_background_counts_as_well():
    assert areas(segment([(10.0, 15.0)]), 1) == [HEIGHT * WIDTH]
    assert areas(segment([(10.0, 15.0)], background=[(30.5, 15.5)]), 1) == [DISC]


def test_of_overlapping_masks_the_smaller_is_on_top_and_clicks_keep_their_pixel():
    class Nested(Discs):
        def candidates(self, image, points_xy, is_object):
            logits, scores = super().candidates(image, points_xy, is_object)
            return logits[:, :1] + torch.tensor([3.0, 0])[:, None, None, None], scores[:, :1]

    # the click of the large disc lies in the small one
    result = segment([(20.0, 15.5), (22.0, 15.5)], choice='score', network=Nested())
    large, small = areas(result, 2)
    assert result.instance_map[15, 20] == 1 and result.instance_map[15, 22] == 2
    alone = areas(
        segment([(22.0, 15.5)], choice='score', network=Discs(radii=(4.0,), scores=(1,))), 1
    )
    assert small == alone[0] - 1 and large > small


def test_the_semantic_map_is_unsure_near_the_border_of_a_mask():
    result = segment([(20.0, 15.0)], labels=[2], network=Discs(scores=(0.5, 0.3, 0.2)))
    assert result.semantic_argmax.max() == 3
    assert (result.semantic_argmax == 3).sum() == DISC
    rows, cols = np.indices((HEIGHT, WIDTH))
    distance = np.hypot(cols + 0.5 - 20, rows + 0.5 - 15)
    unsure = np.abs(4 - distance) < np.log(0.6 / 0.4)
    unsure[15, 20] = False
    assert unsure.any()
    np.testing.assert_array_equal(result.semantic_map == 255, unsure)
    sure = result.semantic_map != 255
    np.testing.assert_array_equal(result.semantic_map[sure], result.semantic_argmax[sure])


def test_points_that_take_no_part_have_a_reason_and_no_candidates():
    points = [(10.2, 15.2), (99, 5), (10.8, 15.8), (30, 15)]
    result = segment(points, labels=[0, 0, 1, 0])
    assert result.reasons == ('', 'outside_image', 'no_pixels', '')
    assert [each is None for each in result.candidates] == [False, True, True, False]
    assert areas(result, 4)[1:3] == [0, 0]
    assert result.scores[1] == 0


def test_without_points_the_network_is_not_asked():
    network = Discs()
    result = segment([], network=network)
    assert network.embedded == 0
    assert result.instance_map.max() == 0 and result.semantic_map.max() == 0
    assert result.candidates == () and result.scores.shape == (0,)


@pytest.mark.parametrize('size', [1, 2, 100])
def test_batches_change_nothing(size):
    points = np.random.default_rng(0).uniform(0, 30, (7, 2))
    network = Discs()
    result = segment(points, network=network, points_per_batch=size, num_neighbors=2)
    assert [len(points) for points, _ in network.prompts] == {
        1: [1] * 7, 2: [2, 2, 2, 1], 100: [7],
    }[size]  # fmt: skip
    expected = segment(points, num_neighbors=2)
    np.testing.assert_array_equal(result.instance_map, expected.instance_map)
    assert result.candidates == expected.candidates


def test_further_points_of_an_image_cost_no_pass_of_the_encoder():
    network, frames = Discs(), {}
    segment([(10.0, 15.0)], network=network, frames=frames)
    segment([(10.0, 15.0), (20.0, 5.0)], network=network, frames=frames)
    assert network.embedded == 1
    segment([(10.0, 15.0)], network=network)
    assert network.embedded == 2


def test_what_is_not_connected_with_the_click_can_be_left_out():
    class Two(Discs):
        def candidates(self, image, points_xy, is_object):
            logits = torch.full((1, 1, HEIGHT, WIDTH), -5.0)
            logits[0, 0, 4:8, 4:8] = logits[0, 0, 20:29, 20:29] = 5
            return logits, torch.ones(1, 1)

    assert areas(segment([(5.5, 5.5)], network=Two()), 1) == [16 + 81]
    assert areas(segment([(5.5, 5.5)], network=Two(), connected=True), 1) == [16]


def test_an_empty_mask_leaves_the_click():
    class Nothing(Discs):
        def candidates(self, image, points_xy, is_object):
            logits, scores = super().candidates(image, points_xy, is_object)
            return logits - 100, scores

    result = segment([(5.5, 5.5)], network=Nothing())
    assert areas(result, 1) == [1] and result.instance_map[5, 5] == 1


def test_prompts_have_the_nearest_negative_points():
    points = np.array([[0.0, 0], [10, 0], [11, 0], [30, 0]])
    clicks = np.array([[1.0, 0], [29, 0]])
    prompts, is_object = make_prompts(points, clicks, num_neighbors=1, num_background=1)
    assert prompts[..., 0].tolist() == [[0, 10, 1], [10, 11, 1], [11, 10, 1], [30, 11, 29]]
    assert is_object.tolist() == [[True, False, False]] * 4
    prompts, _ = make_prompts(points, clicks, num_neighbors=9, num_background=9)
    assert prompts.shape == (4, 1 + 3 + 2, 2)
    prompts, _ = make_prompts(points[:1], clicks[:0], num_neighbors=2, num_background=2)
    assert prompts.tolist() == [[[0, 0]]]


def test_options_reach_the_prompts():
    network = Discs()
    segment([(5, 5), (9, 9)], background=[(1, 1)], network=network, num_neighbors=1)
    ((prompts, is_object),) = network.prompts
    assert prompts[0].tolist() == [[5, 5], [9, 9], [1, 1]]
    assert is_object[0].tolist() == [True, False, False]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(choice='best'), r"expected choice to be one of \('exclusive', 'score'\), got 'best'"),
        (dict(num_neighbors=-1), 'at least 0 and points_per_batch'),
        (dict(points_per_batch=0), 'at least 0 and points_per_batch'),
        (dict(min_confidence=1.0), r'min_confidence from \.5 to below 1, got 1\.0'),
    ],
)
def test_broken_options(options, message):
    with pytest.raises(ValueError, match=message):
        SamPointSegmenter(weights='none', **options)


def test_weights_are_read_at_the_first_image_and_not_before(tmp_path):
    built = SamPointSegmenter(weights=str(tmp_path / 'none'))
    assert list(built.parameters()) == []
    with pytest.raises(PretrainedWeightsError):
        built(IMAGE, points_xy=[(1, 1)], labels=[0], num_classes=1)
