import pytest
import torch

from mmp2seg.models.mixing import PropagatedHead
from mmp2seg.ops.affinity import propagate

METAS = [dict(img_shape=(16, 24), ori_shape=(16, 24))] * 2


def _head(*, rounds=1, num_classes=3, out_channels=None):
    torch.manual_seed(0)
    head = dict(type='mmseg.FCNHead', in_channels=4, in_index=0, channels=4, num_convs=1)
    head.update(num_classes=num_classes, out_channels=out_channels, threshold=0.5, dropout_ratio=0)
    head.update(loss_decode=dict(type='mmseg.CrossEntropyLoss'))
    model = PropagatedHead(
        head=head,
        affinity_head=dict(type='mmp2seg.AffinityAuxHead', in_channels=6, channels=5, in_index=1),
        propagation=dict(type='mmp2seg.AffinityPropagation', rounds=rounds, beta=2.0),
    )
    torch.nn.init.normal_(model.affinity_head.conv.weight)
    torch.nn.init.normal_(model.head.conv_seg.weight, std=4.0)
    return model.eval()


@pytest.fixture
def features():
    torch.manual_seed(1)
    return [torch.randn(2, 4, 8, 12), torch.randn(2, 6, 4, 6)]


def test_it_says_of_itself_what_the_head_says():
    model = _head()
    assert (model.num_classes, model.out_channels, model.align_corners) == (3, 3, False)


def test_no_round_leaves_the_heads_probabilities(features):
    model = _head(rounds=0)
    expected = model.head.predict(features, METAS, {}).softmax(dim=1)
    assert torch.allclose(model.predict(features, METAS, {}).softmax(dim=1), expected, atol=1e-5)
    assert torch.equal(model(features), model.head(features))


def test_what_propagation_changes_is_added(features):
    model = _head()
    probs = model.head.predict(features, METAS, {}).softmax(dim=1)
    cells = probs.view(2, 3, 4, 4, 6, 4).mean(dim=(3, 5))  # 4 x 4 pixels each
    change = propagate(model.affinity_head(features), cells, beta=2.0) - cells
    change = torch.nn.functional.interpolate(change, (16, 24), mode='bilinear')
    scores = model.predict(features, METAS, {}).exp()
    assert change.abs().max() > 0.1
    assert torch.allclose(scores, (probs + change).clamp(min=1e-6), atol=1e-5)


def test_padding_takes_no_part(features):
    """Other scores in what the pre-processor padded change nothing in the image."""
    meta = dict(img_shape=(16, 24), pad_shape=torch.Size([16, 24]), img_padding_size=(0, 8, 0, 4))
    model = _head()
    logits = torch.randn(2, 3, 16, 24)
    model.head.predict = lambda *_: logits
    before = model.predict(features, [meta] * 2, {})
    logits[..., 16:] += 20 * torch.randn(2, 3, 16, 8)
    logits[..., 12:, :] += 20 * torch.randn(2, 3, 4, 24)
    after = model.predict(features, [meta] * 2, {})
    assert torch.allclose(after[..., :10, :14], before[..., :10, :14], atol=1e-5)
    logits[..., :4, :4] += 5 * torch.randn(2, 3, 4, 4)
    assert not torch.allclose(
        model.predict(features, [meta] * 2, {})[..., 6:10, 6:14], after[..., 6:10, 6:14]
    )


def test_a_single_output_channel_is_refused():
    with pytest.raises(ValueError, match='expected a head with out_channels >= 2, got 1'):
        _head(num_classes=2, out_channels=1)
