from mmp2seg.datasets import PointVOCDataset
from mmp2seg.testing import TINY_CLASSES, write_tiny_voc


def test_three_images_of_which_one_is_empty(tmp_path):
    dataset = PointVOCDataset(**write_tiny_voc(tmp_path, size=(64, 50)))
    counts = [len(dataset.get_data_info(index)['instances']) for index in range(3)]
    assert counts == [3, 1, 0]
    assert dataset.metainfo['classes'] == TINY_CLASSES
