import pytest
from mmengine.config import Config

from mmp2seg.datasets.point_dataset import PointDataset


class _TwoImages(PointDataset):
    METAINFO = dict(classes=('a', 'b', 'c'))

    def load_data_list(self):
        return [
            self.image_entry(img_id=1, file_name=name, instances=[], points_path='points')
            for name in ('x.jpg', 'folder/y.jpeg')
        ]


def test_maps_have_the_images_stem_and_keep_subfolders():
    dataset = _TwoImages(data_prefix=dict(img='images', seg_map='maps'), seg_map_suffix='_w.png')
    paths = [dataset.get_data_info(index)['seg_map_path'] for index in range(2)]
    assert paths == ['maps/x_w.png', 'maps/folder/y_w.png']
    assert dataset.get_data_info(1)['img_path'] == 'images/folder/y.jpeg'


def test_number_of_classes_travels_with_each_image():
    dataset = _TwoImages(data_prefix=dict(img='images'))
    assert dataset.num_classes == dataset.get_data_info(0)['num_classes'] == 3


@pytest.mark.parametrize('kind', [dict, Config])
def test_classes_from_a_file(tmp_path, kind):
    path = tmp_path / 'classes.txt'
    path.write_text('thé\nchaise\n', encoding='utf-8-sig')
    dataset = _TwoImages(metainfo=kind(dict(classes=str(path), palette=[(0, 0, 0)])))
    assert list(dataset.metainfo['classes']) == ['thé', 'chaise']
    assert dataset.metainfo['palette'] == [(0, 0, 0)]
    path.write_bytes('thé\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=f'{path}: expected text in UTF-8'):
        _TwoImages(metainfo=kind(dict(classes=str(path))))
