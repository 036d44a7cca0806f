"""Broken versions of valid files, drawn at random: what strangers and other programs might hand in.

A mutation takes the content of a file and a random generator, and returns another content. The same
state of the generator gives the same content.
"""

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

# Numbers as text. They replace numbers of a json, a table or an XML, whether or not they fit there.
NUMBERS = (
    *('NaN', 'nan', 'Infinity', '-Infinity', 'inf', '1e300', '-1e300', '1e999', '1e-400', '-0.0'),
    *('0', '-1', '1', '0.5', '254', '255', '256', '60000', '1e5', '2147483648', '4294967296'),
    *('9223372036854775807', '9223372036854775808', '18446744073709551616', '9' * 5000),
    *('-' + '9' * 5000, '0.' + '3' * 5000, 'true', 'null', '"1"', '1_000', '0x10', '1,5'),
    *('\uff11', '\u00b2'),  # digits for Python, but not for other programs
)
# Words: names and paths that lead elsewhere, that a terminal or a file system does not take, or
# that mean something to a parser.
WORDS = (
    *('', ' ', '.', '..', '../..', '../../escaped', '../../escaped.png', 'a/../../../escaped.png'),
    *('/escaped.png', '//escaped', 'C:\\escaped.png', '\\\\host\\escaped', '..\\..\\escaped.png'),
    *('.hidden', '.hidden.png', '._a.png', '~', '~root/a.png', '-rf', '$HOME', '*', 'a b.png'),
    *('a\nb', 'a\rb.png', '\x00', 'a\x00b.png', '\x1b[31mred', '\u202eab', '\u2028', '\u00e9'),
    *('e\u0301', '💥.png', '\ud800', '\ufeff', 'x' * 300 + '.png', 'y' * 5000, '%s%n', '{0}'),
    *('http://[', '%', 'file:///escaped', '%2e%2e%2fescaped', 'nan', 'background', 'true', '1e999'),
    *('A.PNG', 'con'),
)
_SIZES = ([60000, 60000], [2**31, 2**31], [0, 0], [-1, 4], [4, 2**40], [1, 1], 4, None, ['4', '4'])
_COUNTS = (
    *('', '0', 'P' * 200, '\x7f', '\u00e9', '~~~~', 'oo' * 30),
    *([], [0], [-1, 5], [2**40], ['4'], None),
)
_BYTES = (
    *(b'', b'\x00', b'\x00' * 64, b'\xff', b'\xfe\xff', b'\xef\xbb\xbf', b'\xff\xd8', b'\x89PNG'),
    *(b'\r', b'\n', b'\r\n', b'"', b"'", b'<', b'>', b'&a;', b'[', b'{', b'}', b']', b',', b';'),
    *(b'\t', b'-', b'#', b'\x80', b'\xed\xa0\x80', b'IDAT', b'PK\x03\x04', b'\x1b[2J'),
)
_DEPTH = 20_000  # of nested lists or elements: far more than Python's stack takes
_NUMBER = re.compile(r'-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?')
_WORD = re.compile(r'[A-Za-z_][\w./\\-]*')

Mutation = Callable[[bytes, random.Random], bytes]


class _Raw:
    """A text that stands in the json as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


def mutate(
    data: bytes, rng: random.Random, *, kind: str, others: Sequence[bytes] = (), outside: str = ''
) -> bytes:
    """Return a broken version of a file, with one to three changes.

    Args:
        data: content of a valid file.
        rng: source of all choices.
        kind: ``'json'``, ``'text'`` (also CSV and XML) or ``'binary'``.
        others: contents of other valid files, to mix with.
        outside: a path that a reader must not write to; names are replaced by paths below it.

    Returns:
        bytes: by chance it can be a valid file.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        choice = rng.random()
        if kind == 'json' and choice < 0.65:
            data = mutate_json(data, rng, outside=outside)
        elif kind in ('json', 'text') and choice < 0.85:
            data = mutate_text(data, rng, outside=outside)
        else:
            data = mutate_bytes(data, rng, others=others)
    return data


def mutate_bytes(data: bytes, rng: random.Random, *, others: Sequence[bytes] = ()) -> bytes:
    """Truncate, flip, delete, repeat, insert, or splice with another file."""
    start, end = sorted(rng.randint(0, len(data)) for _ in range(2))
    change = rng.choice(
        ('cut', 'flip', 'flip', 'flip', 'delete', 'repeat', 'insert', 'splice', 'all')
    )
    if change == 'cut':
        return data[:end]
    if change == 'flip':
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8, 64)) if data else 0):
            changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return bytes(changed)
    if change == 'delete':
        return data[:start] + data[min(end, start + rng.choice((1, 4, 64))) :]
    if change == 'repeat':
        part = data[start : start + rng.choice((1, 8, 256))]
        return data[:start] + part * rng.choice((2, 3, 100)) + data[start:]
    if change == 'insert':
        return data[:start] + rng.choice(_BYTES) * rng.choice((1, 1, 50)) + data[start:]
    if change == 'splice' and others:
        other = rng.choice(others)
        return data[:start] + other[rng.randint(0, len(other)) :]
    return rng.choice((b'', b'\x00' * 1000, rng.randbytes(rng.choice((1, 7, 500))), data[::-1]))


def mutate_text(data: bytes, rng: random.Random, *, outside: str = '') -> bytes:
    """Replace a number or a word, or drop, repeat, exchange or deepen lines."""
    text = data.decode('utf-8', 'surrogateescape')
    change = rng.choice((*('number',) * 5, *('word',) * 4, 'lines', 'lines', 'deep'))
    if change == 'number':
        text = _replaced(text, _NUMBER, rng.choice(NUMBERS), rng)
    elif change == 'word':
        text = _replaced(text, _WORD, _word(rng, outside), rng)
    elif change == 'lines':
        lines = text.splitlines(keepends=True) or ['']
        index, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[index : index + 1] = rng.choice(([], [lines[index]] * 2, [lines[other]], ['\n'] * 3))
        text = ''.join(lines)
    else:
        opening, closing = rng.choice((('[', ']'), ('{"a":', '}'), ('<a>', '</a>'), ('"', '"')))
        place = rng.randint(0, len(text))
        text = text[:place] + opening * _DEPTH + closing * _DEPTH + text[place:]
    return text.encode('utf-8', 'surrogatepass' if _has_surrogates(text) else 'strict')


def mutate_json(data: bytes, rng: random.Random, *, outside: str = '') -> bytes:
    """Replace, remove, repeat or exchange parts of a json; other data are changed as text."""
    try:
        root: list[Any] = [json.loads(data)]
    except (ValueError, RecursionError):
        return mutate_text(data, rng, outside=outside)
    places = _places(root)
    parent, key = rng.choice(places)
    old = parent[key]
    change = rng.choice(('value', 'value', 'value', 'value', 'remove', 'repeat', 'exchange', 'key'))
    if isinstance(old, dict) and 'counts' in old and rng.random() < 0.7:
        part, values = rng.choice((('size', _SIZES), ('counts', _COUNTS)))
        old[part] = rng.choice(values)
    elif change == 'value':
        parent[key] = _value(old, rng, outside)
    elif change == 'remove' and parent is not root:
        del parent[key]
    elif change == 'repeat' and isinstance(parent, list):
        parent.insert(rng.randint(0, len(parent)), old)
    elif change == 'key' and isinstance(parent, dict):
        parent[_word(rng, outside)] = parent.pop(key)
    else:
        other_parent, other_key = rng.choice(places)
        parent[key] = json.loads(json.dumps(other_parent[other_key]))
    return _dump(root[0], rng)


def _value(old: Any, rng: random.Random, outside: str) -> Any:
    """Draw a value for a place of a json, preferably of a kind that might pass."""
    choice = rng.random()
    if isinstance(old, str) and choice < 0.6:
        return _word(rng, outside)
    if isinstance(old, int | float) and choice < 0.7:
        return _Raw(rng.choice(NUMBERS))
    deep = _Raw('[' * _DEPTH + ']' * _DEPTH)
    values = [None, True, False, [], {}, [[]], [None], {'a': 1}, 0, -1, 1.5, '', '1', deep]
    return rng.choice([*values, _Raw(rng.choice(NUMBERS)), _word(rng, outside)])


def _word(rng: random.Random, outside: str) -> str:
    word = rng.choice(WORDS)
    return outside + word if outside and word.startswith('/') else word


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return all parts of a json as pairs of their parent and their key or index."""
    found, todo = [], [value]
    while todo:
        parent = todo.pop()
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        found += [(parent, key) for key in keys]
        todo += [parent[key] for key in keys if isinstance(parent[key], dict | list)]
    return found


def _dump(content: Any, rng: random.Random) -> bytes:
    raw: list[str] = []

    def mark(value: Any) -> str:
        raw.append(value.text)
        return f'\x01{len(raw) - 1}\x01'

    text = json.dumps(content, default=mark, ensure_ascii=rng.random() < 0.5)
    for index, inserted in enumerate(raw):
        text = text.replace(json.dumps(f'\x01{index}\x01'), inserted)
    return text.encode('utf-8', 'surrogatepass')


def _replaced(text: str, pattern: re.Pattern, new: str, rng: random.Random) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text + new
    match = rng.choice(found)
    return text[: match.start()] + new + text[match.end() :]


def _has_surrogates(text: str) -> bool:
    return any('\ud800' <= character <= '\udfff' for character in text)
