import json

import pytest

from mmp2seg.datasets.label_classes import category_names, require_label_classes


def test_names_in_the_order_of_the_file():
    content = dict(
        info=dict(description='"categories": ["no"]'),
        categories=[dict(id=7, name='b'), dict(id=1, name='Ä "q"')],
        annotations=[dict(categories=[1], id=3)],
    )
    for indent in (None, 1):
        assert category_names(json.dumps(content, indent=indent)) == ['b', 'Ä "q"']


@pytest.mark.parametrize(
    'text', ['', '{}', '{"categories": 3}', '{"categories": [{"id": 1}]}', '{"categories": [{']
)
def test_what_has_no_names_is_for_the_reader(text):
    assert category_names(text) is None


def test_equal_classes_and_others_in_the_file():
    require_label_classes('f', ['a', 'b'], ('a', 'b'))
    require_label_classes('f', ['x', 'a', 'y', 'b'], ['a', 'b'])


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['Cell'], r"f: .*: the file has \['Cell'\], the config \['cell', 'dirt'\]; not in the"),
        (['dirt'], r"not in the file: \['cell'\]$"),
        (
            ['dirt', 'cell'],
            r"in the order of .*: the file has \['dirt', 'cell'\], the config",
        ),
    ],
)
def test_other_classes(names, message):
    with pytest.raises(ValueError, match=message):
        require_label_classes('f', names, ('cell', 'dirt'))
