import pytest

from mmp2seg.converters.point_formats.other_shapes import check_choice, takes_center

BOX = dict(centered=('box', 'circle'), where='a.json: shapes[3]')


def test_takes_center():
    assert takes_center('box', other_shapes='center', **BOX)
    assert not takes_center('box', other_shapes='skip', **BOX)
    assert not takes_center('polygon', other_shapes='skip', **BOX)
    with pytest.raises(ValueError, match=r"shapes\[3\]: expected a point, got a box .*'skip' or"):
        takes_center('box', other_shapes='error', **BOX)
    with pytest.raises(ValueError, match=r'shapes\[3\]: expected a dot or box or circle, got a po'):
        takes_center('polygon', other_shapes='center', point='dot', **BOX)


def test_check_choice():
    check_choice('annotation', 'a', ('a', 'b'))
    with pytest.raises(ValueError, match=r"annotation to be one of \('a', 'b'\), got 'c'"):
        check_choice('annotation', 'c', ('a', 'b'))
