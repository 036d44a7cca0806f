import pickle

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from PIL import Image

from mmp2seg.analysis.dataset_check.image import ImageChecker
from mmp2seg.ops.rle import encode_rle

CLASSES = ('disc', 'ring')


@pytest.fixture
def checker():
    return ImageChecker(LoadImageFromFile(), CLASSES, max_snap_distance=2.0)


@pytest.fixture
def entry(tmp_path):
    """Entry of an image of 20 x 10 pixels whose map has a disc of 4 x 4 and a ring of 2 x 3."""
    noise = np.random.default_rng(0).integers(0, 255, (10, 20, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / 'a.jpg', quality=95)
    semantic_map = np.zeros((10, 20), np.uint8)
    semantic_map[2:6, 3:7] = 1
    semantic_map[0:2, 15:18] = 2
    Image.fromarray(semantic_map).save(tmp_path / 'a.png')
    return dict(
        img_id=4,
        img_path=str(tmp_path / 'a.jpg'),
        file_name='a.jpg',
        seg_map_path=str(tmp_path / 'a.png'),
        points_path='points.txt',
        instances=[dict(point=[4.5, 3.5], bbox_label=0, point_id=0)],
    )


def add(entry, *points):
    for x, y, label in points:
        number = len(entry['instances'])
        entry['instances'].append(dict(point=[x, y], bbox_label=label, point_id=number))


def problem(findings):
    ((kind, line),) = findings.problems
    return kind, line


def test_a_sound_image(checker, entry):
    findings = checker(entry)
    assert findings.problems == []
    assert findings.notes == [('classes_without_points', f'{entry["seg_map_path"]}: ring')]
    counts = findings.counts
    assert (counts['images'], counts['empty'], counts['points'], counts['maps']) == (1, 0, 1, 1)
    assert (
        counts['class', 0] == counts['place', 'on_class'] == counts['points_per_region', '1'] == 1
    )
    assert (counts['regions'], counts['regions_without_points']) == (2, 1)
    assert (counts['pixels'], counts['pixels_without_points']) == (22, 6)
    assert pickle.loads(pickle.dumps(checker)) is not None  # as for worker processes


def test_points_and_regions(checker, entry):
    # After the first point: at the same place, off by 1.5 pixels, on the ring, far off, on another
    # class.
    add(entry, (6.5, 3.5, 0), (8.0, 3.5, 0), (16.5, 0.5, 1), (12.5, 8.5, 1), (5.5, 3.5, 1))
    findings = checker(entry)
    counts = findings.counts
    assert counts['class', 0] == counts['class', 1] == 3
    assert [counts['place', name] for name in ('on_class', 'other_class', 'background')] == [
        3,
        1,
        2,
    ]
    assert (counts['snapped'], counts['lost']) == (1, 2)
    assert counts['points_per_region', '3-5'] == counts['points_per_region', '1'] == 1
    assert counts['regions_without_points'] == counts['pixels_without_points'] == 0
    assert findings.problems == []
    assert findings.notes == [
        ('off_class', 'points.txt: a.jpg: point 2 (disc) is background'),
        ('lost', 'points.txt: a.jpg: point 4 (ring) is background'),
        ('lost', 'points.txt: a.jpg: point 5 (ring) is other_class'),
    ]


def test_numbers_of_points_of_a_region(checker, entry):
    entry['instances'] = []
    add(entry, *[(3.5 + i % 4, 2.5 + i // 4, 0) for i in range(7)], (15.5, 0.5, 1), (16.5, 1, 1))
    counts = checker(entry).counts
    assert [counts['points_per_region', n] for n in ('1', '2', '3-5', '6+')] == [0, 1, 0, 1]


def test_an_image_without_points(checker, entry):
    entry['instances'] = []
    counts = checker(entry).counts
    assert (counts['empty'], counts['points'], counts['regions_without_points']) == (1, 0, 2)
    assert counts['pixels_without_points'] == 22


def test_points_outside_and_at_the_same_place(checker, entry):
    add(entry, (20.5, 3, 0), (4.5, 3.5, 1))
    findings = checker(entry)
    assert sorted(findings.problems) == [
        (
            'duplicate_points',
            'points.txt: a.jpg: points 0 (disc) and 2 (ring) are both at (4.5, 3.5)',
        ),
        ('outside', 'points.txt: a.jpg: point 1 at (20.5, 3), the image is 20 x 10'),
    ]
    assert findings.counts['place', 'outside'] == 1
    assert findings.counts['lost'] == 1  # the ring on the disc; a point outside is counted once


def test_a_point_on_the_edge_is_inside(checker, entry):
    add(entry, (20.0, 10.0, 0))
    findings = checker(entry)
    assert findings.problems == [] and findings.counts['place', 'outside'] == 0


def test_missing_files(checker, entry, tmp_path):
    (tmp_path / 'a.jpg').unlink()
    kind, line = problem(checker(entry))
    assert (kind, line) == ('missing', f'{tmp_path}/a.jpg: the image does not exist')
    (tmp_path / 'a.png').unlink()
    kinds = [kind for kind, _ in checker(entry).problems]
    assert kinds == ['missing', 'missing']


@pytest.mark.parametrize('content', [b'', b'no image', 'half'])
def test_unreadable_images(checker, entry, tmp_path, content):
    path = tmp_path / 'a.jpg'
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 40] if content == 'half' else content)
    kind, line = problem(checker(entry))
    assert kind == 'unreadable'
    assert line.startswith(f'{path}: ') and '\n' not in line and line.count(str(path)) == 1


def test_images_without_an_end_that_the_decoder_lets_pass(entry, tmp_path):
    path = tmp_path / 'a.jpg'
    checker = ImageChecker(lambda _: dict(img=np.zeros((10, 20, 3))), CLASSES)
    assert checker(entry).problems == []
    path.write_bytes(path.read_bytes()[:-40])
    kind, line = problem(checker(entry))
    assert kind == 'unreadable' and line.startswith(f'{path}: image file is truncated')


@pytest.mark.parametrize('content', [b'', b'no image', 'half'])
def test_unreadable_maps(checker, entry, tmp_path, content):
    path = tmp_path / 'a.png'
    path.write_bytes(path.read_bytes()[:60] if content == 'half' else content)
    kind, line = problem(checker(entry))
    assert kind == 'unreadable' and line.startswith(f'{path}: ')


def test_points_are_checked_against_the_map_of_an_unreadable_image(checker, entry, tmp_path):
    (tmp_path / 'a.jpg').write_bytes(b'')
    add(entry, (4, 11, 0))
    assert [kind for kind, _ in checker(entry).problems] == ['unreadable', 'outside']


def test_sizes_that_disagree(checker, entry, tmp_path):
    Image.new('L', (10, 20)).save(tmp_path / 'a.png')
    findings = checker(entry)
    path = entry['seg_map_path']
    assert problem(findings) == ('sizes', f'{path}: 10 x 20 pixels, its image has 20 x 10')
    assert findings.counts['regions'] == 0


def test_maps_that_the_data_set_resizes(entry, tmp_path):
    Image.fromarray(np.full((5, 10), 1, np.uint8)).save(tmp_path / 'a.png')
    checker = ImageChecker(LoadImageFromFile(), CLASSES, resize_seg_map=True)
    findings = checker(entry)
    assert findings.problems == []
    assert findings.counts['pixels'] == 200
    assert problem(ImageChecker(LoadImageFromFile(), CLASSES)(entry))[0] == 'sizes'
    Image.new('L', (10, 20)).save(tmp_path / 'a.png')
    assert problem(checker(entry))[0] == 'sizes'


def test_size_that_the_annotation_file_states(entry):
    for size, expected in (((10, 20), 0), ((20, 10), 1)):
        checker = ImageChecker(LoadImageFromFile(), CLASSES, {4: size}, 'points.json')
        assert len(checker(entry).problems) == expected
    path = entry['img_path']
    line = f'{path}: 20 x 10 pixels, points.json says 10 x 20'
    assert problem(checker(entry)) == ('sizes', line)


def test_values_that_are_no_class(checker, entry, tmp_path):
    Image.fromarray(np.full((10, 20), 3, np.uint8)).save(tmp_path / 'a.png')
    kind, line = problem(checker(entry))
    assert kind == 'map_values'
    assert line.startswith(f'{tmp_path}/a.png: expected 0 ') and line.endswith('got 3')


def test_no_maps(checker, entry):
    findings = checker({**entry, 'seg_map_path': None})
    assert findings.problems == [] and findings.notes == []
    assert findings.counts['maps'] == findings.counts['regions'] == 0


def test_digest_on_request(checker, entry, tmp_path):
    assert checker(entry).digest == ''
    with_digest = ImageChecker(LoadImageFromFile(), CLASSES, with_digest=True)
    first = with_digest(entry).digest
    (tmp_path / 'b.jpg').write_bytes((tmp_path / 'a.jpg').read_bytes())
    assert with_digest({**entry, 'img_path': str(tmp_path / 'b.jpg')}).digest == first != ''


def test_labelers_least_region(entry):
    checker = ImageChecker(LoadImageFromFile(), CLASSES, min_region_area=7)
    counts = checker(entry).counts
    assert (counts['regions'], counts['regions_small']) == (1, 1)
    assert counts['pixels'] == 22


def test_background_clicks(checker, entry):
    assert checker(entry).counts['background_points'] == 0
    findings = checker({**entry, 'background_points': [[0, 0], [20.5, 3.5]]})
    assert findings.counts['background_points'] == 2
    assert findings.counts['points'] == 1
    line = 'points.txt: a.jpg: background click at (20.5, 3.5), the image is 20 x 10'
    assert problem(findings) == ('outside', line)


def _with_kinds(entry):
    """A mask beside its point, a box, and a point alone."""
    add(entry, (16.5, 1.5, 1), (12.5, 8.5, 1))
    mask, box = np.zeros((10, 20), bool), np.zeros((10, 20), bool)
    mask[7:9, 0:3], box[0:2, 15:18] = True, True
    for instance, kind, pixels in zip(entry['instances'], ('mask', 'box'), (mask, box)):
        instance.update(supervision=kind, mask=encode_rle(pixels))
    return entry


def test_kinds_of_supervision(checker, entry):
    findings = checker(_with_kinds(entry))
    counts = findings.counts
    assert [counts['supervision', kind] for kind in ('point', 'box', 'mask')] == [1, 1, 1]
    assert counts['complete'] == 0
    assert findings.problems == []
    assert ('off_mask', 'points.txt: a.jpg: point 0 is outside of its true mask') in findings.notes
    # the map that training sees: with the mask in it
    assert counts['regions'] == 3


def test_an_image_with_all_masks_has_no_other_regions(checker, entry):
    entry = _with_kinds(entry)
    entry['instances'] = entry['instances'][:1]
    counts = checker({**entry, 'complete': True}).counts
    assert (counts['complete'], counts['regions'], counts['pixels']) == (1, 1, 6)


def test_masks_of_another_size_than_the_image(checker, entry):
    entry['instances'][0].update(supervision='mask', mask=encode_rle(np.ones((9, 20), bool)))
    assert checker(entry).counts['regions'] == 2
