from mmp2seg.registry import MODELS
from mmp2seg.testing import tiny_p2seg_config


def test_builds_with_overrides():
    model = MODELS.build(tiny_p2seg_config(num_classes=5, test_cfg=dict(return_maps=True)))
    assert model.semantic_head.num_classes == 5
    assert model.test_cfg['return_maps']
    assert sum(parameter.numel() for parameter in model.parameters()) < 20_000
