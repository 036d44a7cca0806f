import pytest

from mmp2seg.label_studio.label_config import read_label_config
from mmp2seg.label_studio.task_points import (
    Click,
    is_interactive,
    keypoint_results,
    newest_results,
    read_clicks,
    stored_results,
)

from .task_examples import TAGS, keypoint

CONFIG = read_label_config(TAGS)


def clicks(*results, size=(48, 64)):
    return read_clicks(results, CONFIG, size=size, where='task 7')


def test_per_cent_become_pixels():
    assert clicks(keypoint(32, 12, 'bar')) == [Click(32.0, 12.0, 'bar', 'k32_12')]
    (click,) = clicks(keypoint(101, 41, size=(67, 101)), size=(67, 101))
    assert click.x == 101.0  # the right edge; the inferencer puts it on the last pixel
    assert clicks(dict(keypoint(1, 1), id=None))[0].region_id is None


@pytest.mark.parametrize(
    ('more', 'label'),
    [
        ({}, 'block'),
        (dict(is_positive=True), 'block'),
        (dict(is_positive=1), 'block'),
        (dict(is_positive=False), 'background'),
        (dict(is_positive=0), 'background'),
        (dict(is_positive=None), 'block'),
    ],
)
def test_a_click_with_alt_is_one_on_background(more, label):
    assert clicks(keypoint(1, 1, **more))[0].label == label


def test_a_label_named_background():
    assert clicks(keypoint(1, 1, 'background'))[0].label == 'background'


@pytest.mark.parametrize(
    ('result', 'message'),
    [
        (
            keypoint(1, 1, size=(64, 48)),
            'an image of 48 x 64 pixels, .* showed, got one of 64 x 48',
        ),
        (keypoint(1, 1, image_rotation=90), 'expected an image without rotation'),
        (keypoint(1, 1, 'cat'), "expected a label of the labelling config, got 'cat'"),
        (keypoint(1, 1, value=dict(x=1, y=1)), 'expected keypointlabels to be a list of one'),
        (keypoint(1, 1, value=None), "expected an object 'value', got None"),
        (
            keypoint(1, 1, value=dict(x='1', y=1, keypointlabels=['bar'])),
            'expected two numbers x, y',
        ),
    ],
)
def test_keypoints_that_cannot_be_used(result, message):
    with pytest.raises(ValueError, match=f'^task 7: keypoint 1: .*{message}'):
        clicks(keypoint(2, 2), result)


def test_a_size_that_is_not_stated_is_that_of_the_image():
    assert clicks(keypoint(32, 12, original_width=None))[0].x == 32


def test_only_keypoints_of_the_tags():
    wanted = keypoint(1, 1)
    others = [
        keypoint(1, 1, name='landmark'),
        keypoint(1, 1, type='brushlabels'),
        'text',
        dict(type='choices'),
    ]
    assert keypoint_results([*others, wanted], CONFIG) == [wanted]
    assert keypoint_results(None, CONFIG) == [] == keypoint_results('text', CONFIG)


def test_the_newest_entry_with_keypoints():
    old, new = keypoint(1, 1), keypoint(2, 2)
    entries = [
        dict(result=[new], updated_at='2024-02-01T00:00:00Z'),
        dict(result=[old], updated_at='2024-01-01T00:00:00Z'),
        dict(result=[], updated_at='2024-03-01T00:00:00Z'),
        dict(result=[keypoint(3, 3)], updated_at='2024-04-01T00:00:00Z', was_cancelled=True),
        'text',
    ]
    assert newest_results(dict(drafts=entries), 'drafts', CONFIG) == [new]
    without_times = [dict(result=[old]), dict(result=[new])]
    assert newest_results(dict(drafts=without_times), 'drafts', CONFIG) == [new]
    assert newest_results(dict(drafts=None), 'drafts', CONFIG) == []


def test_annotations_before_drafts_before_predictions():
    parts = {
        key: [dict(result=[keypoint(place, place)])]
        for place, key in enumerate(('annotations', 'drafts', 'predictions'), start=1)
    }
    for place, key in enumerate(list(parts), start=1):
        assert stored_results(parts, CONFIG) == [keypoint(place, place)]
        parts[key] = [dict(result=[])]
    assert stored_results(parts, CONFIG) == []


def test_a_context_is_a_click_also_if_its_last_keypoint_is_gone():
    assert is_interactive(dict(result=[]))
    assert not any(map(is_interactive, (None, {}, dict(result=None), [])))
