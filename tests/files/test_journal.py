import json

import pytest

from mmp2seg.files.journal import Journal, JournalEntries

PLAN = {'images': ['a', 'b'], 'size': (3, 4)}


def test_a_second_process_has_the_entries_of_the_first(tmp_path):
    path = tmp_path / 'work.partial'
    with Journal(path, PLAN) as journal:
        assert journal.entries == {}
        journal.add('a', [1])
        journal.add(7, {'x': None})
    with Journal(path, PLAN) as journal:
        assert journal.entries == {'a': [1], 7: {'x': None}}
        journal.add('b', [2])
    with Journal(path, PLAN) as journal:
        assert list(journal.entries) == ['a', 7, 'b']
        journal.remove()
    assert not path.exists()


def test_another_plan_starts_again(tmp_path):
    path = tmp_path / 'work.partial'
    with Journal(path, PLAN) as journal:
        journal.add('a', 1)
    with Journal(path, {'images': []}) as journal:
        assert journal.entries == {}
    with Journal(path, PLAN) as journal:
        assert journal.entries == {}


@pytest.mark.parametrize(
    'rest',
    [
        b'["b", [1, 2',
        b'["b", 1',
        b'["b", 1]',
        b'nonsense\n["c", 1]\n',
        b'\xff\n',
        b'7\n',
        b'["b"]\n',
        b'[["b"], 1]\n',
    ],
)
def test_a_broken_end_is_forgotten(tmp_path, rest):
    path = tmp_path / 'work.partial'
    with Journal(path, PLAN) as journal:
        journal.add('a', 1)
    sound = path.read_bytes()
    path.write_bytes(sound + rest)
    with Journal(path, PLAN) as journal:
        assert journal.entries == {'a': 1}
        journal.add('b', 2)
    assert path.read_bytes() == sound + b'["b", 2]\n'


@pytest.mark.parametrize('content', [b'', b'{"images"', b'\x00\x01'])
def test_a_file_without_a_plan_is_replaced(tmp_path, content):
    path = tmp_path / 'work.partial'
    path.write_bytes(content)
    with Journal(path, PLAN) as journal:
        assert journal.entries == {}
    assert json.loads(path.read_text()) == {'images': ['a', 'b'], 'size': [3, 4]}


def test_what_is_no_json_is_not_written(tmp_path):
    path = tmp_path / 'work.partial'
    with Journal(path, PLAN) as journal:
        with pytest.raises(ValueError, match='work.partial: not written, .*JSON'):
            journal.add('a', float('nan'))
        assert journal.entries == {}
    assert len(path.read_text().splitlines()) == 1


def test_the_last_entry_of_a_key_counts(tmp_path):
    with Journal(tmp_path / 'a', PLAN) as journal:
        journal.add('a', 1)
        journal.add('b', 2)
        journal.add('a', 3)
        assert journal.entries == {'a': 3, 'b': 2}
    assert list(JournalEntries(tmp_path / 'a', PLAN).items()) == [('a', 3), ('b', 2)]


def test_entries_of_a_file_that_another_process_writes(tmp_path):
    with Journal(tmp_path / 'a', PLAN) as journal:
        journal.add('a', 1)
        with open(tmp_path / 'a', 'ab') as file:
            file.write(b'["b", [2')
        before = (tmp_path / 'a').read_bytes()
        assert JournalEntries(tmp_path / 'a', PLAN) == {'a': 1}
        assert JournalEntries(tmp_path / 'a', 'another plan') == {}
        assert (tmp_path / 'a').read_bytes() == before  # nothing is cut off
    assert JournalEntries(tmp_path / 'gone', PLAN) == {} and not (tmp_path / 'gone').exists()


def test_entries_are_not_kept_in_memory(tmp_path):
    with Journal(tmp_path / 'a', PLAN) as journal:
        journal.add('a', [1])
        assert journal.entries['a'] is not journal.entries['a']
