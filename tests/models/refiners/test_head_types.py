import pytest
from mmdet.models.roi_heads import StandardRoIHead

from mmp2seg.models.refiners.head_types import with_type


@pytest.mark.parametrize('given', ['A', 'mmdet.A', 'mmp2seg.Ours'])
def test_type_is_replaced_in_a_copy(given):
    head = dict(type=given, inner=dict(x=1))
    ours = with_type(head, 'Ours', instead_of='A')
    assert ours == dict(type='mmp2seg.Ours', inner=dict(x=1))
    assert head['type'] == given and ours['inner'] is not head['inner']


def test_a_class_is_as_good_as_its_name():
    head = with_type(dict(type=StandardRoIHead), 'Ours', instead_of='StandardRoIHead')
    assert head == dict(type='mmp2seg.Ours')


def test_another_type_is_an_error():
    with pytest.raises(ValueError, match='expected a head of type A, got mmdet.B'):
        with_type(dict(type='mmdet.B'), 'Ours', instead_of='A')
