"""The command line of tools/dataset_converters/mmseg_semantic_maps.py."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from mmp2seg.converters import mmseg_maps

TOOLS = Path(__file__).resolve().parents[3] / 'tools' / 'dataset_converters'


@pytest.fixture
def main():
    return runpy.run_path(str(TOOLS / 'mmseg_semantic_maps.py'))['main']


@pytest.fixture
def calls(monkeypatch):
    """What the tool calls ``write_mmseg_maps`` with; tests/apis run that itself."""
    calls = []

    def record(*args, **options):
        calls.append((args, options))
        pixels = np.array([6, 3, *[0] * (len(options['classes']) - 1), 1])
        return mmseg_maps.MmsegMapsReport(4, ('background', 'sky'), pixels)

    monkeypatch.setattr(mmseg_maps, 'write_mmseg_maps', record)
    return calls


ARGUMENTS = ['config.py', 'model.pth', 'images', 'out']


def test_options_reach_the_converter(main, calls, capsys):
    options = ['--classes', 'cat', 'diningtable', '--rename', 'dining table=diningtable']
    main([*ARGUMENTS, *options, '--min-score', '0.4', '--device', 'cpu', '--overwrite'])
    ((args, named),) = calls
    assert args == tuple(ARGUMENTS)
    del named['track']
    assert named == dict(
        classes=['cat', 'diningtable'],
        rename={'dining table': 'diningtable'},
        model_classes=None,
        points=None,
        min_score=0.4,
        device='cpu',
        overwrite=True,
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[-5:] == [
        '4 maps',
        "the model's classes that became background: background, sky",
        'background: 60.00%',
        'cat: 30.00%',
        '255: 10.00%',
    ]


def test_classes_of_known_data_sets_and_of_the_points(main, calls, tmp_path):
    main([*ARGUMENTS, '--classes', 'voc', '--model-classes', 'coco'])
    assert len(calls[0][1]['classes']) == 20 and len(calls[0][1]['model_classes']) == 80
    points = tmp_path / 'points.json'
    content = dict(
        images=[], annotations=[], categories=[dict(id=2, name='b'), dict(id=1, name='a')]
    )
    points.write_text(json.dumps(content))
    main([*ARGUMENTS, '--points', str(points)])
    assert calls[1][1]['classes'] == ['a', 'b'] and calls[1][1]['points'] == str(points)


def test_mistakes_end_the_command_with_one_line(main, capsys, tmp_path):
    for arguments, message in (
        ([], 'expected --classes or --points'),
        (['--classes', 'a', '--rename', 'b'], "argument --rename: expected MODEL=OURS, got 'b'"),
    ):
        with pytest.raises(SystemExit):
            main([*ARGUMENTS, *arguments])
        assert message in capsys.readouterr().err
    (tmp_path / 'a.png').touch()
    with pytest.raises(SystemExit, match='error: config.py: no such file'):
        main(['config.py', 'model.pth', str(tmp_path), 'out', '--classes', 'a'])
