import numpy as np
import pytest

from mmp2seg.napari_plugin.slices import class_names_of, points_by_slice


def split(positions, shape, *, current=(), only_current=False):
    names = [f'c{k}' for k in range(len(positions))]
    slices = points_by_slice(
        positions,
        names,
        rows=[10 + k for k in range(len(positions))],
        shape=shape,
        current=current,
        only_current=only_current,
    )
    return [(one.index, one.rows.tolist(), one.points_xy.tolist(), one.classes) for one in slices]


def test_the_centre_of_a_pixel_is_at_half_of_it():
    # napari's pixel (row 3, column 0) covers -.5 to .5 in columns
    assert split([[3, 0], [0.25, 29.4]], (20, 30)) == [
        ((), [10, 11], [[0.5, 3.5], [29.9, 0.75]], ('c0', 'c1'))
    ]


def test_points_are_grouped_by_their_slice():
    positions = [[2, 1, 5, 6], [0, 0, 1, 2], [1.6, 1.4, 3, 4]]
    assert split(positions, (3, 2, 20, 30), current=(0, 0)) == [
        ((0, 0), [11], [[2.5, 1.5]], ('c1',)),
        ((2, 1), [10, 12], [[6.5, 5.5], [4.5, 3.5]], ('c0', 'c2')),
    ]


def test_the_current_slice_alone():
    positions = [[2, 5, 6], [9, 1, 2]]  # the second one is in no slice
    assert split(positions, (3, 20, 30), current=(2,), only_current=True) == [
        ((2,), [10], [[6.5, 5.5]], ('c0',))
    ]
    assert not split(positions, (3, 20, 30), current=(1,), only_current=True)


def test_a_point_of_all_slices_belongs_to_the_current_one():
    assert split([[np.nan, 5, 6]], (3, 20, 30), current=(1,)) == [
        ((1,), [10], [[6.5, 5.5]], ('c0',))
    ]


@pytest.mark.parametrize('place', [-0.6, 2.5])
def test_a_point_in_no_slice_is_an_error(place):
    message = r'slices of the image, \(3,\), got point 11 in slice'
    with pytest.raises(ValueError, match=message):
        split([[0, 1, 1], [place, 5, 6]], (3, 20, 30), current=(1,))


@pytest.mark.parametrize('place', [(np.nan, 3), (5, np.inf)])
def test_a_point_without_a_place_is_an_error(place):
    with pytest.raises(ValueError, match=r'finite rows and columns, got .* of point 11$'):
        split([[1, 1], place], (20, 30))


def test_names_of_classes():
    values = ['cell', ' dirt ', 3, 2.0, 2.5, np.int64(7), np.str_('x')]
    names = class_names_of(values, range(len(values)))
    assert names == ('cell', 'dirt', '3', '2', '2.5', '7', 'x')


def test_missing_classes_are_listed():
    values = ['a', None, np.nan, '', float('inf'), ' ', 'nan']
    with pytest.raises(ValueError, match='none for the points 3, 4, 5, 6, 7, ...$'):
        class_names_of(values, range(2, 9))
    with pytest.raises(ValueError, match='none for the points 8$'):
        class_names_of(['a', None], [7, 8])
