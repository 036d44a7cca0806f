import torch

from mmp2seg.ops.semantic_scores import restricted_argmax

PROBS = torch.tensor([[[0.2, 0.1, 0.5]], [[0.3, 0.1, 0.2]], [[0.1, 0.6, 0.2]], [[0.4, 0.2, 0.1]]])


def test_only_background_and_the_given_classes_take_part():
    semantic_map, probs = restricted_argmax(PROBS, torch.tensor([1, 0, 1]))
    assert semantic_map.tolist() == [[1, 2, 0]]  # class 2 is likelier at the first pixel
    assert torch.equal(probs, torch.tensor([[0.3, 0.6, 0.5]]))
    assert semantic_map.dtype == torch.int64


def test_of_equal_scores_the_lowest_value_counts():
    semantic_map, _ = restricted_argmax(PROBS[:2], torch.tensor([0]))
    assert semantic_map[0, 1] == 0


def test_no_classes_and_half_precision():
    semantic_map, probs = restricted_argmax(PROBS.half(), torch.zeros(0, dtype=torch.int64))
    assert not semantic_map.any()
    assert torch.equal(probs, PROBS[0].half().float())
