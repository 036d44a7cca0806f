"""The property-based tests with many more examples, drawn anew each time."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FILES = sorted(TESTS.glob('*/test_properties.py'))


def test_the_files_are_found():
    assert [file.parent.name for file in FILES] == ['codecs', 'converters', 'ops']


@pytest.mark.slow
@pytest.mark.parametrize('file', FILES, ids=lambda file: file.parent.name)
def test_many_examples(file):
    process = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '--hypothesis-profile=many', str(file)],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stdout[-20_000:]
