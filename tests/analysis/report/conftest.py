"""Two images with pseudo labels, their truth and their maps; names that a page must escape."""

import numpy as np
import pytest
from PIL import Image

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle

# HTML and a network address, which no browser must follow
EVIL_CLASS = '<script src="http://example.com/x.js"></script>'
EVIL_NAME = 'b"><img src=x onerror=alert(1)>.png'


def box(left, top, right, bottom):
    mask = np.zeros((40, 60), bool)
    mask[top:bottom, left:right] = True
    return encode_rle(mask)


class LabelFolder:
    """Files of pseudo labels; ``labels`` and ``truth`` are written by :meth:`write`."""

    def __init__(self, root):
        self.root = root
        self.images = root / 'images'
        self.maps = root / 'maps'
        for folder in (self.images, self.maps):
            folder.mkdir()
        names = ['a.png', EVIL_NAME]
        for name in names:
            Image.new('RGB', (60, 40), 'grey').save(self.images / name)
        Image.fromarray(np.full((40, 60), 2, np.uint8)).save(self.maps / 'a.png')
        images = [dict(id=k, file_name=n, height=40, width=60) for k, n in enumerate(names, 1)]
        categories = [dict(id=3, name='cat'), dict(id=5, name=EVIL_CLASS)]
        annotations = [
            self.annotation(1, 1, 3, 0.9, box(5, 5, 15, 15), [10.5, 10.5]),
            self.annotation(2, 1, 5, 0.5, box(30, 5, 40, 15), [31.5, 6.5]),
            self.annotation(3, 2, 5, 0.7, box(20, 20, 40, 30), [30.5, 25.5]),
            self.annotation(4, 2, 3, 0.2, box(50, 2, 58, 9), [55.5, 5.5]),
        ]
        dropped = [
            dict(image_id=1, category_id=3, point=[20.5, 30.5], point_id=9, reason='no_region'),
            dict(image_id=2, category_id=5, point=[75, 10], point_id=10, reason='outside_image'),
        ]
        self.labels = dict(
            images=images,
            categories=categories,
            annotations=annotations,
            dropped_points=dropped,
        )
        objects = [
            dict(id=1, image_id=1, category_id=3, segmentation=box(5, 5, 15, 15), iscrowd=0),
            dict(id=2, image_id=1, category_id=5, segmentation=box(30, 5, 50, 15), iscrowd=0),
            dict(id=3, image_id=2, category_id=5, segmentation=box(20, 20, 44, 30), iscrowd=0),
        ]
        self.truth = dict(images=images, categories=categories, annotations=objects)
        self.write()

    @staticmethod
    def annotation(number, image_id, category_id, score, rle, point):
        return dict(
            id=number,
            image_id=image_id,
            category_id=category_id,
            bbox=[0, 0, 1, 1],
            area=1,
            segmentation=rle,
            iscrowd=0,
            score=score,
            point=point,
            point_id=number,
        )

    def write(self):
        write_json(self.root / 'labels.json', self.labels)
        write_json(self.root / 'truth.json', self.truth)


@pytest.fixture
def label_folder(tmp_path):
    return LabelFolder(tmp_path)
