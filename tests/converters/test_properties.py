"""Points survive being written and read, in every format."""

import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mmp2seg.converters.point_formats import FORMATS
from mmp2seg.converters.point_json import SourceImage, SourcePoint, assemble_point_json
from mmp2seg.converters.points_file import read_points
from mmp2seg.datasets.voc_layout import parse_point_line, write_point_txt
from mmp2seg.files.atomic_write import write_json

WIDTH, HEIGHT = 40, 30
# options that the folder layout needs, and how far a coordinate may be from what was written
OPTIONS = {
    'labelme': dict(suffix='', image_dir=True),
    'cvat': dict(suffix='.xml'),
    'coco-keypoints': dict(suffix='.json'),
    'label-studio': dict(suffix='.json'),
    'csv': dict(suffix='.csv'),
}
# letters, digits, marks, symbols of all scripts and spaces; no control characters
TEXT = st.text(
    st.characters(categories=['L', 'N', 'P', 'S', 'M', 'Zs'], exclude_characters='/\\'),
    min_size=1,
    max_size=12,
).map(str.strip)
LABELS = TEXT.filter(lambda label: label and label != 'background')
STEMS = st.text(st.characters(categories=['L', 'N']), min_size=1, max_size=8)
EDGES = (0.0, 0.5, 1 / 3, 1 - 2**-53)
SHARES = st.one_of(st.sampled_from(EDGES), st.floats(0, 1, exclude_max=True))


def _png():
    file = io.BytesIO()
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(file, 'PNG')
    return file.getvalue()


PNG = _png()


@st.composite
def sources(draw):
    """Images with points of a few classes, and background clicks."""
    labels = draw(st.lists(LABELS, min_size=1, max_size=3, unique=True))
    images = []
    for stem in draw(st.lists(STEMS, min_size=1, max_size=3, unique_by=str.casefold)):
        points = {}
        for _ in range(draw(st.integers(0, 4))):
            x, y = draw(SHARES) * WIDTH, draw(SHARES) * HEIGHT
            label = draw(st.sampled_from([*labels, 'background']))
            points[int(x), int(y)] = SourcePoint(x, y, label, 'a')  # one in a pixel
        images.append(SourceImage(f'{stem}.png', HEIGHT, WIDTH, list(points.values()), 'a'))
    return images


@contextlib.contextmanager
def _folder(images):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / 'images').mkdir()
        for image in images:
            (folder / 'images' / image.file_name).write_bytes(PNG)
        yield folder


def _content(content):
    """Points and background clicks by image, without ids."""
    names = {category['id']: category['name'] for category in content['categories']}
    found = {
        image['file_name']: [('background', *point) for point in image.get('background_points', [])]
        for image in content['images']
    }
    files = {image['id']: image['file_name'] for image in content['images']}
    for annotation in content['annotations']:
        entry = (names[annotation['category_id']], *annotation['point'])
        found[files[annotation['image_id']]].append(entry)
    # by the pixel first: rounding must not change the order
    key = lambda point: (point[0], int(point[1] + 1e-6), int(point[2] + 1e-6), point)  # noqa: E731
    return {name: sorted(points, key=key) for name, points in found.items()}


def _assert_equal(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, points in expected.items():
        assert [point[0] for point in found[name]] == [point[0] for point in points]
        np.testing.assert_allclose(
            np.array([point[1:] for point in found[name]], float).reshape(-1, 2),
            np.array([point[1:] for point in points], float).reshape(-1, 2),
            rtol=0,
            atol=tolerance,
        )


@pytest.mark.parametrize('name', OPTIONS)
@given(images=sources())
def test_points_survive_a_format(name, images):
    options = OPTIONS[name]
    expected = _content(assemble_point_json(images, allow_empty=True)[0])
    with _folder(images) as folder:
        path = folder / f'points{options["suffix"]}'
        more = dict(image_dir=folder / 'images') if options.get('image_dir') else {}
        if name == 'csv' and not any(image.points for image in images):
            return  # a table has no images without points
        FORMATS[name].write(images, path, **more)
        found = _content(
            read_points(path, folder / 'images', list_images=name == 'csv', allow_empty=True)
        )
    # label-studio writes per cent, coco-keypoints half a pixel less
    _assert_equal(found, expected, 1e-9 if name in ('label-studio', 'coco-keypoints') else 0)


@given(images=sources())
def test_a_point_json_survives(images):
    content, report = assemble_point_json(images, allow_empty=True)
    with _folder(images) as folder:
        write_json(folder / 'points.json', content)
        again = read_points(folder / 'points.json', folder / 'images', allow_empty=True)
    assert {**again, 'info': None} == {**content, 'info': None}
    assert sum(report.num_points.values()) == len(content['annotations'])


@given(
    st.lists(
        st.tuples(
            st.one_of(SHARES, st.floats(0, 1e6)),
            st.one_of(SHARES, st.floats(0, 1e6)),
            st.integers(0, 19),
        ),
        max_size=6,
    )
)
def test_point_files_of_the_voc_layout_survive(rows):
    points = np.array([row[:2] for row in rows], np.float64).reshape(-1, 2)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'a.txt'
        write_point_txt(path, points, [row[2] for row in rows])
        lines = path.read_text().splitlines()
    assert [parse_point_line(line, num_classes=20, where='a') for line in lines] == rows
