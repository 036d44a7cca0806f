import torch

from mmp2seg.analysis.benchmarks import codec


def test_uses_of_the_codec_on_an_image():
    calls = codec.codec_calls(12, (60, 84))
    results = {name: call() for name, call in calls.items()}
    assert results[codec.INITIAL].instance_map.shape == (60, 84)
    assert results[codec.REFINED].weight.any()
    for name in (codec.DECODED, codec.UPSAMPLED):
        assert results[name].masks.shape[1:] == (60, 84)
        assert len(results[name].kept) + len(results[name].dropped) == 12
    assert len(results[codec.UPSAMPLED].kept) >= 8
    assert torch.equal(results[codec.DECODED].masks, results[codec.UPSAMPLED].masks)
