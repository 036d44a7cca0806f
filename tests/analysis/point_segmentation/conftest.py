"""A truth json of two images with drawn objects."""

import cv2
import numpy as np
import pytest

from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle


def rectangle(size, left, top, right, bottom):
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


class TruthFolder:
    """A COCO json with RLE, the folder of its images, and changes to both."""

    def __init__(self, root, *, size=(20, 40)):
        self.path, self.images = root / 'truth.json', root / 'images'
        self.images.mkdir(parents=True)
        self.size = size
        self.content = dict(
            images=[],
            categories=[dict(id=3, name='cat'), dict(id=7, name='dog')],
            annotations=[],
        )

    def add_image(self, number, name):
        height, width = self.size
        entry = dict(id=number, file_name=name, height=height, width=width)
        self.content['images'].append(entry)
        path = self.images / name
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3))
        cv2.imwrite(str(path), pixels.astype(np.uint8))

    def add(self, image, category, box, **more):
        annotations = self.content['annotations']
        entry = dict(
            id=len(annotations) + 1,
            image_id=image,
            category_id=category,
            segmentation=encode_rle(rectangle(self.size, *box)),
        )
        annotations.append({**entry, **more})

    def write(self):
        write_json(self.path, self.content)
        return self


@pytest.fixture
def truth_folder(tmp_path):
    """Image 1 has two touching cats, a dog, a crowd and a small cat; image 2 nothing."""
    truth = TruthFolder(tmp_path)
    truth.add_image(1, 'a/1.png')
    truth.add_image(2, '2.png')
    truth.add(1, 3, (2, 2, 10, 10))
    truth.add(1, 3, (10, 2, 18, 10))
    truth.add(1, 7, (20, 10, 38, 18))
    truth.add(1, 3, (30, 0, 40, 12), iscrowd=1)
    truth.add(1, 3, (0, 18, 2, 20))
    return truth.write()
