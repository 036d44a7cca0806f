import json
from types import SimpleNamespace

import numpy as np
import pytest

from mmp2seg.codecs import DROP_REASONS
from mmp2seg.files.atomic_write import write_json
from mmp2seg.ops.rle import encode_rle
from mmp2seg.pseudo_labels.coco_json import assemble, load, merge
from mmp2seg.pseudo_labels.labels import PseudoLabels

CATEGORIES = [dict(id=11, name='cat'), dict(id=30, name='dog')]


def annotation(image_id, point_id, category_id, score, area):
    mask = np.zeros((4, 5), bool)
    mask.flat[:area] = True
    return dict(
        image_id=image_id, point_id=point_id, category_id=category_id, score=score, area=area,
        bbox=[0.0, 0.0, 5.0, 1.0], point=[0.5, 0.5], iscrowd=0, segmentation=encode_rle(mask),
    )  # fmt: skip


def content(image_ids=(7, 4, 9), categories=CATEGORIES):
    """Image 7 has two cats and a dog, image 4 a dog and a dropped cat, image 9 nothing."""
    annotations = [
        annotation(7, 1, 11, 0.9, 10), annotation(7, 2, 11, 0.5, 2), annotation(7, 3, 30, 0.25, 4),
        annotation(4, 1, 30, 0.75, 8),
    ]  # fmt: skip
    dropped = [
        dict(image_id=4, point_id=2, category_id=11, point=[9.5, 0.5], reason='outside_image')
    ]
    return assemble(
        [dict(id=k, file_name=f'{k}.jpg', height=4, width=5) for k in image_ids],
        categories,
        [entry for entry in annotations if entry['image_id'] in image_ids],
        [entry for entry in dropped if entry['image_id'] in image_ids],
        dict(description='test'),
    )


def kept(labels):
    return [(a['image_id'], a['point_id']) for a in labels.to_coco()['annotations']]


def test_load_and_save(tmp_path):
    write_json(tmp_path / 'a.json', content())
    labels = PseudoLabels.load(tmp_path / 'a.json')
    labels.save(tmp_path / 'b.json')
    assert load(tmp_path / 'b.json') == content() == labels.to_coco()
    assert (len(labels), labels.num_instances, labels.classes) == (3, 4, ('cat', 'dog'))
    assert repr(labels) == (
        f'PseudoLabels({tmp_path / "a.json"}: 4 masks in 3 images, 1 points without)'
    )
    with pytest.raises(FileNotFoundError):
        PseudoLabels.load(tmp_path / 'gone.json')


def test_content_is_copied_and_checked():
    given = content()
    labels = PseudoLabels(given)
    given['annotations'][0]['score'] = 0.0
    labels.to_coco()['images'].clear()
    assert labels.to_coco() == content()
    given['annotations'].append(given['annotations'][0])
    with pytest.raises(ValueError, match='expected one entry for each point, got two'):
        PseudoLabels(given)


def test_iteration_by_image():
    images = list(PseudoLabels(content()))
    assert [part.image['id'] for part in images] == [7, 4, 9]
    assert [len(part.annotations) for part in images] == [3, 1, 0]
    assert [len(part.dropped_points) for part in images] == [0, 1, 0]
    assert images[0].masks.shape == (3, 4, 5) and images[0].masks.sum((1, 2)).tolist() == [10, 2, 4]
    assert images[2].masks.shape == (0, 4, 5)


@pytest.mark.parametrize(
    ('conditions', 'expected', 'num_dropped'),
    [
        (dict(), [(4, 1), (7, 1), (7, 2), (7, 3)], 1),
        (dict(min_score=0.5), [(4, 1), (7, 1), (7, 2)], 1),
        (dict(min_area=4), [(4, 1), (7, 1), (7, 3)], 1),
        (dict(classes=['dog']), [(4, 1), (7, 3)], 0),
        (dict(classes=['cat', 'dog']), [(4, 1), (7, 1), (7, 2), (7, 3)], 1),
        (dict(min_score=0.5, min_area=4, classes=['cat']), [(7, 1)], 1),
        (dict(classes=[]), [], 0),
    ],
)
def test_filter(conditions, expected, num_dropped):
    labels = PseudoLabels(content())
    found = labels.filter(**conditions)
    assert kept(found) == expected
    filtered = found.to_coco()
    assert len(filtered['dropped_points']) == num_dropped
    assert filtered['images'] == content()['images']
    assert filtered['categories'] == CATEGORIES
    assert filtered['info']['filtered'] == [{**conditions, 'num_removed': 4 - len(expected)}]
    assert [a['id'] for a in filtered['annotations']] == list(range(1, len(expected) + 1))
    assert labels.to_coco() == content()


def test_filters_are_listed():
    found = PseudoLabels(content()).filter(min_score=0.5).filter(min_area=4).to_coco()
    assert found['info']['filtered'] == [
        dict(min_score=0.5, num_removed=1), dict(min_area=4, num_removed=1)
    ]  # fmt: skip
    json.dumps(found)


@pytest.mark.parametrize('classes', [['cow'], 'cat'])
def test_filter_of_an_unknown_class(classes):
    with pytest.raises(ValueError, match="expected a list of classes of .*'cat', 'dog'.*, got"):
        PseudoLabels(content()).filter(classes=classes)


def test_merge(tmp_path):
    parts = content([7]), content([4, 9])
    for number, part in enumerate(parts):
        write_json(tmp_path / f'{number}.json', part)
    paths = [tmp_path / '0.json', tmp_path / '1.json']
    first, second = (PseudoLabels.load(path) for path in paths)
    assert first.merge(second).to_coco() == merge(*paths)
    assert kept(first.merge(second)) == kept(PseudoLabels(content()))
    with pytest.raises(ValueError, match=r'0\.json and .*0\.json: point 1 of image 7 has an entry'):
        first.merge(second, first)
    with pytest.raises(ValueError, match='expected the same categories in both'):
        first.merge(PseudoLabels(content([4], [dict(id=11, name='cat'), dict(id=30, name='cow')])))


def test_statistics():
    found = PseudoLabels(content()).statistics()
    assert json.loads(json.dumps(found)) == found
    assert (found['num_images'], found['num_empty_images']) == (3, 1)
    assert (found['num_instances'], found['num_dropped']) == (4, 1)
    assert found['dropped'] == {reason: int(reason == 'outside_image') for reason in DROP_REASONS}
    assert found['score'] == {
        'min': 0.25, '25%': 0.4375, 'median': 0.625, '75%': 0.7875, 'max': 0.9
    }  # fmt: skip
    cat, dog = found['classes']['cat'], found['classes']['dog']
    assert (cat['num_instances'], cat['num_dropped']) == (2, 1)
    assert (dog['num_instances'], dog['num_dropped']) == (2, 0)
    assert cat['area'] == {'min': 2, '25%': 4, 'median': 6, '75%': 8, 'max': 10}
    empty = PseudoLabels(content([9])).statistics()
    assert empty['score'] is None and empty['classes']['cat']['area'] is None


def result(image_id, number, categories=CATEGORIES[:1]):
    """Stands in for a result of the inferencer, with image id ``image_id``."""

    def to_coco(*, image_id):
        return assemble(
            [dict(id=image_id, file_name=f'{number}.jpg', height=4, width=5)],
            categories,
            [annotation(image_id, 5, categories[-1]['id'], 0.5, 3)],
            [],
            dict(description='test'),
        )

    return SimpleNamespace(image_id=image_id, to_coco=to_coco)


def test_from_results():
    labels = PseudoLabels.from_results(result(None, n) for n in range(3))
    assert [part.image['id'] for part in labels] == [1, 2, 3]
    assert [part.image['file_name'] for part in labels] == ['0.jpg', '1.jpg', '2.jpg']
    assert labels.to_coco()['info'] == dict(description='test')
    labels = PseudoLabels.from_results([result(40, 1), result(30, 2, CATEGORIES)])
    assert kept(labels) == [(30, 5), (40, 5)]
    assert labels.classes == ('cat', 'dog')  # of the result with more of them
    labels = PseudoLabels.from_results([result(40, 1), result(None, 2)])
    assert [part.image['id'] for part in labels] == [1, 2]


def test_results_that_do_not_fit():
    with pytest.raises(ValueError, match='expected at least one result'):
        PseudoLabels.from_results([])
    with pytest.raises(ValueError, match='expected results of the same classes'):
        PseudoLabels.from_results([result(1, 1, CATEGORIES), result(2, 2, CATEGORIES[1:])])
    with pytest.raises(ValueError, match='image id 1 is'):
        PseudoLabels.from_results([result(1, 1), result(1, 2)])
    with pytest.raises(ValueError, match=r'image 1\.jpg has the ids'):
        PseudoLabels.from_results([result(1, 1), result(2, 1)])


def test_content_that_is_no_pseudo_labels_is_named():
    for changes, message in (
        (dict(images=None), "mine: expected a list 'images', got None"),
        (dict(categories=[dict(id=1)]), 'mine: .*name'),
        (dict(dropped_points=[dict(image_id=4)]), 'mine: .*category_id'),
    ):
        with pytest.raises(ValueError, match=message):
            PseudoLabels({**content(), **changes}, name='mine')
    short = content()
    del short['info'], short['dropped_points']
    assert PseudoLabels(short).to_coco()['dropped_points'] == []
    assert 'info' not in short  # the caller's content is not changed
