"""Broken files in every reader: our error or success, never anything else."""

import pytest

from mmp2seg.testing.fuzzing import fuzz, summarize

from .readers import READERS


def check(reader, seeds, tmp_path):
    findings, num_refused = fuzz(reader, seeds, folder=tmp_path)
    reproduce = f'python -m tests.fuzz {reader.name} --seeds SEED END [--keep FOLDER]'
    assert not findings, '\n'.join([*summarize(findings), reproduce])
    return num_refused


@pytest.mark.parametrize('reader', READERS, ids=lambda reader: reader.name)
def test_the_valid_files_are_read(reader, tmp_path):
    reader.write(tmp_path / 'files')
    reader.read(tmp_path / 'files')


@pytest.mark.parametrize('reader', READERS, ids=lambda reader: reader.name)
def test_fifty_broken_files(reader, tmp_path):
    check(reader, range(50), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize('reader', READERS, ids=lambda reader: reader.name)
def test_ten_thousand_broken_files(reader, tmp_path):
    check(reader, range(10_000), tmp_path)
