import torch

from mmp2seg.codecs import DROP_REASONS, PointPseudoLabeler


def test_only_the_listed_reasons_occur():
    points = torch.tensor([[0.5, 0.5], [0.5, 0.5], [5.0, 0.5], [1.5, 0.5]])
    probs = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])[:, None]  # (3, 1, 2)
    decoded = PointPseudoLabeler(max_snap_distance=0).decode(
        probs, torch.zeros(2, 1, 2), points, torch.tensor([0, 0, 0, 1])
    )
    assert decoded.reasons == ['duplicate', 'outside_image', 'no_region']
    assert set(decoded.reasons) < set(DROP_REASONS)
