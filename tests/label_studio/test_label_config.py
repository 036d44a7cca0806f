import pytest

from mmp2seg.label_studio.label_config import (
    LabelConfig,
    example_label_config,
    read_label_config,
)

from .task_examples import IMAGE, TAGS, tag

CONFIG = LabelConfig(
    frozenset(['point']), 'mask', 'brushlabels', 'image', 'photo', ('block', 'bar')
)


def test_points_and_brushes_of_an_image():
    assert read_label_config(TAGS) == CONFIG


def test_polygons_if_there_are_no_brushes():
    polygons = tag('PolygonLabels', 'bar', 'block')
    found = read_label_config(dict(outline=polygons, point=TAGS['point']))
    assert (found.mask_tag, found.mask_kind) == ('outline', 'polygonlabels')
    assert read_label_config(dict(outline=polygons, **TAGS)) == CONFIG


def test_keypoints_for_something_else_are_left_alone():
    others = dict(
        landmark=tag('KeyPointLabels', 'nose', 'ear'),
        elsewhere=tag('KeypointLabels', 'bar', to_name='second'),
    )
    assert read_label_config(others | TAGS) == CONFIG
    more = read_label_config(dict(TAGS, second=tag('KeypointLabels', 'bar')))
    assert more.point_tags == {'point', 'second'} and more.labels == ('block', 'bar')


@pytest.mark.parametrize(
    ('tags', 'message'),
    [
        ({}, 'expected <BrushLabels> or <PolygonLabels>, got no tags'),
        (dict(point=TAGS['point']), 'expected <BrushLabels> or .*, got KeyPointLabels point'),
        (
            dict(mask=TAGS['mask']),
            r'expected <KeyPointLabels toName="image"> .* of mask, got Brush',
        ),
        (
            dict(TAGS, point=tag('KeyPointLabels', 'bar', 'cat')),
            'expected the labels of the points also in mask, got cat in point alone',
        ),
        (
            dict(TAGS, mask=tag('BrushLabels', 'bar', source=dict(type='Video', value='v'))),
            'expected mask to belong to an <Image> with value="\\$FIELD", got image',
        ),
        (
            dict(TAGS, mask=tag('BrushLabels', 'bar', source=dict(IMAGE, value=None))),
            'expected mask to belong to an <Image>',
        ),
    ],
)
def test_what_is_missing_is_named(tags, message):
    with pytest.raises(ValueError, match=f'^labelling config: {message}'):
        read_label_config(tags)


def test_the_example_names_each_class_twice_and_no_background():
    text = example_label_config(['cat', 'a & "b"', 'background'])
    assert text.count('value="cat"') == 2
    assert text.count("""value='a &amp; "b"'""") == 2
    assert 'value="background"' not in text
