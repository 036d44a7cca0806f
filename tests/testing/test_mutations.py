import json
import random

import pytest

from mmp2seg.testing.mutations import mutate, mutate_bytes, mutate_json, mutate_text

JSON = json.dumps({'a': [1, 2.5, 'name.png'], 'rle': {'size': [4, 4], 'counts': '0P'}}).encode()


def versions(function, data, count=600, **options):
    return [function(data, random.Random(seed), **options) for seed in range(count)]


@pytest.mark.parametrize('kind', ['json', 'text', 'binary'])
@pytest.mark.parametrize('data', [b'', b'x', JSON, bytes(range(256)), '"é 1"'.encode()])
def test_any_data_can_be_broken_reproducibly(kind, data):
    first = versions(mutate, data, 50, kind=kind, others=[data, b'other'])
    assert first == versions(mutate, data, 50, kind=kind, others=[data, b'other'])
    assert len(set(first)) > 5


def test_bytes_are_cut_flipped_and_spliced():
    found = versions(mutate_bytes, bytes(100), others=[b'\x07' * 100])
    assert any(len(data) == 100 and sum(data) for data in found)
    assert any(0 < len(data) < 100 and not sum(data) for data in found)
    assert any(data.endswith(b'\x00\x07\x07') for data in found)
    assert b'' in found


def test_a_json_is_mostly_still_one_with_other_values():
    def parses(data):
        try:
            json.loads(data)
        except (ValueError, RecursionError):
            return False
        return True

    found = versions(mutate_json, JSON, 3000)
    assert sum(map(parses, found)) > len(found) / 2
    text = b'\n'.join(found)
    for part in (b'NaN', b'1e300', b'9' * 5000, b'../..', b'[' * 10_000, b'60000', b'.hidden'):
        assert part in text
    assert any(parses(data) and b'"rle"' not in data for data in found)  # removed or renamed


def test_a_text_gets_other_numbers_words_and_lines():
    text = b'\n'.join(versions(mutate_text, b'a.png,1.5,bar\nb.png,2,bar\n'))
    for part in (b'a.png,NaN', b'../..', b'[' * 10_000, b'b.png,2,bar\nb.png,2,bar'):
        assert part in text


def test_absolute_paths_are_below_the_folder_given():
    text = b'\n'.join(versions(mutate_json, JSON, 3000, outside='/tmp/elsewhere'))
    assert b'"/tmp/elsewhere/escaped.png"' in text
    assert b'"/escaped.png"' not in text
