from mmp2seg.datasets import PointVOCDataset
from mmp2seg.registry import MODELS
from mmp2seg.testing import TINY_CLASSES, tiny_p2seg_config, write_tiny_voc


def test_three_images_of_which_one_is_empty(tmp_path):
    dataset = PointVOCDataset(**write_tiny_voc(tmp_path, size=(64, 50)))
    counts = [len(dataset.get_data_info(index)['instances']) for index in range(3)]
    assert counts == [3, 1, 0]
    assert dataset.metainfo['classes'] == TINY_CLASSES


def test_model_builds_with_overrides():
    model = MODELS.build(tiny_p2seg_config(num_classes=5, test_cfg=dict(return_maps=True)))
    assert model.semantic_head.num_classes == 5
    assert model.test_cfg['return_maps']
    assert sum(parameter.numel() for parameter in model.parameters()) < 20_000
