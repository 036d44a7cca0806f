import dataclasses

import pytest
from PIL import Image

from mmp2seg.converters.point_json import SourceImage, SourcePoint


def point(x, y, label):
    return SourcePoint(x, y, label, '')


@pytest.fixture
def images():
    """Images with points of any digits, order and label, and one without points."""
    first = [
        point(12.3456789, 0.1 + 0.2, 'dog'),
        point(59.9, 39.9, 'Ä, "b"; <c>&'),
        point(0.5, 0, 'dog'),
    ]
    return [
        SourceImage('b 1.jpg', 40, 60, first, ''),
        SourceImage('a+2.png', 33, 7, [point(1 / 3, 32.0, 'cat')], ''),
        SourceImage('empty.jpg', 5, 6, [], ''),
    ]


@pytest.fixture
def image_dir(tmp_path, images):
    """Make a folder with the files of ``images``."""
    folder = tmp_path / 'images'
    folder.mkdir()
    for image in images:
        Image.new('RGB', (image.width, image.height)).save(folder / image.file_name)
    return folder


@pytest.fixture
def plain():
    """Returns what a round trip preserves: everything except ``where``."""

    def run(images):
        return [
            (i.file_name, i.height, i.width, [(p.x, p.y, p.label) for p in i.points])
            for i in images
        ]

    return run


@pytest.fixture
def clicked(images):
    """Images with background clicks; one image has nothing else."""
    clicks = [point(7.25, 3.5, 'background'), point(4.0, 4.5, 'background')]
    return [
        dataclasses.replace(images[0], background_points=clicks),
        images[1],
        dataclasses.replace(images[2], background_points=clicks[1:]),
    ]


@pytest.fixture
def all_plain():
    """Returns images with their points in the form that readers return."""

    def run(images):
        return [
            (i.file_name, i.height, i.width, [(p.x, p.y, p.label) for p in i.all_points])
            for i in images
        ]

    return run


@pytest.fixture
def resize():
    """Returns a source image with the same name and another size."""
    return lambda image, **size: dataclasses.replace(image, **size)
