"""The command line of tools/analysis_tools/semantic_miou.py, run in this process."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmp2seg.files.index_png import write_palette_png

from .tool_runs import TOOLS, run_tool


@pytest.fixture
def folders(tmp_path):
    """Folders of predictions and truth; the truth has one more map."""
    folders = [str(tmp_path / name) for name in ('pred', 'gt')]
    for folder, names in zip(folders, ('ab', 'abc'), strict=True):
        Path(folder).mkdir()
        for name in names:
            semantic_map = np.array([[0, 1], [int(folder.endswith('pred')), 255]], np.uint8)
            write_palette_png(Path(folder) / f'{name}.png', semantic_map)
    return folders


def test_figures(folders, tmp_path, capsys):
    (tmp_path / 'set.txt').write_text('a\nb\n')
    out = tmp_path / 'figures.json'
    options = ['--image-set', str(tmp_path / 'set.txt'), '--json', str(out)]
    run_tool('semantic_miou', *folders, '--class-names', 'cat', *options)
    text = capsys.readouterr().out
    assert '| cat        | 50.00 |   100.00 |           2 |' in text
    assert 'mIoU of 2 classes, background included: 50.00' in text
    figures = json.loads(out.read_text())
    assert figures['miou'] == 0.5 and figures['num_maps'] == 2
    assert [entry['name'] for entry in figures['classes']] == ['background', 'cat']
    run_tool(
        'semantic_miou', *folders, '--num-classes', '20', '--class-names', 'voc', '--skip-missing'
    )
    text = capsys.readouterr().out
    assert '| aeroplane' in text and 'skipped: 1' in text
    run_tool('semantic_miou', *folders, '--num-classes', '1', '--skip-missing')
    assert '| class 1 ' in capsys.readouterr().out


def test_mistakes_end_the_command_with_one_line(folders, capsys):
    with pytest.raises(SystemExit):
        run_tool('semantic_miou', *folders)
    assert 'expected --num-classes or --class-names' in capsys.readouterr().err
    with pytest.raises(
        SystemExit, match='error: --class-names: expected 2 as --num-classes, got 1'
    ):
        run_tool('semantic_miou', *folders, '--num-classes', '2', '--class-names', 'cat')
    with pytest.raises(SystemExit, match='error: .*pred: 1 of 3 maps are missing: c'):
        run_tool('semantic_miou', *folders, '--num-classes', '1')


def test_an_error_starts_on_a_new_line_after_the_progress_bar(folders):
    Path(folders[0], 'b.png').write_bytes(b'no image')
    Path(folders[1], 'c.png').unlink()
    tool = TOOLS / 'analysis_tools' / 'semantic_miou.py'
    command = [sys.executable, tool, *folders, '--num-classes', '1']
    process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.returncode == 1
    bar, error = process.stdout.rstrip('\n').split('\n')[-2:]
    assert '1/2' in bar
    assert error.startswith('semantic_miou.py: error: ') and 'b.png' in error
