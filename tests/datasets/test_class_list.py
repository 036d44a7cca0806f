import pytest

from mmp2seg.datasets.class_list import class_names


def test_lists_and_tuples_are_kept():
    assert class_names(('b', 'a')) == ['b', 'a']
    assert class_names([]) == []


def test_a_str_is_no_list_of_letters():
    with pytest.raises(ValueError, match=r"got the str 'cell': .* \('cell',\), with a comma"):
        class_names('cell')


@pytest.mark.parametrize(('classes', 'got'), [(['a', 'b', 'a'], "'a' twice"), ([1], 'got 1')])
def test_names_are_unique_and_strings(classes, got):
    with pytest.raises(ValueError, match=got):
        class_names(classes)
