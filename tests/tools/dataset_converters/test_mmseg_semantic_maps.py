"""The command line of tools/dataset_converters/mmseg_semantic_maps.py."""

import json

import numpy as np
import pytest

from mmp2seg.converters import mmseg_maps

from ..tool_runs import run_tool


@pytest.fixture
def calls(monkeypatch):
    """Arguments of the calls of ``write_mmseg_maps``; tests/converters run it."""
    calls = []

    def record(*args, **options):
        calls.append((args, options))
        pixels = np.array([6, 3, *[0] * (len(options['classes']) - 1), 1])
        return mmseg_maps.MmsegMapsReport(4, ('background', 'sky'), pixels)

    monkeypatch.setattr(mmseg_maps, 'write_mmseg_maps', record)
    return calls


ARGUMENTS = ['mmseg_semantic_maps', 'config.py', 'model.pth', 'images', 'out']


def test_options_reach_the_converter(calls, capsys):
    options = ['--classes', 'cat', 'diningtable', '--rename', 'dining table=diningtable']
    run_tool(*ARGUMENTS, *options, '--min-score', '0.4', '--device', 'cpu', '--overwrite')
    ((args, named),) = calls
    assert args == tuple(ARGUMENTS[1:])
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


def test_classes_of_known_data_sets_and_of_the_points(calls, tmp_path):
    run_tool(*ARGUMENTS, '--classes', 'voc', '--model-classes', 'coco')
    assert len(calls[0][1]['classes']) == 20 and len(calls[0][1]['model_classes']) == 80
    points = tmp_path / 'points.json'
    content = dict(
        images=[], annotations=[], categories=[dict(id=2, name='b'), dict(id=1, name='a')]
    )
    points.write_text(json.dumps(content))
    run_tool(*ARGUMENTS, '--points', str(points))
    assert calls[1][1]['classes'] == ['a', 'b'] and calls[1][1]['points'] == str(points)


def test_mistakes_end_the_command_with_one_line(capsys, tmp_path):
    for arguments, message in (
        ([], 'expected --classes or --points'),
        (['--classes', 'a', '--rename', 'b'], "argument --rename: expected MODEL=OURS, got 'b'"),
        (['--classes', 'a', '--min-score', '2'], 'argument --min-score: expected 0 to 1, got 2'),
    ):
        with pytest.raises(SystemExit):
            run_tool(*ARGUMENTS, *arguments)
        assert message in capsys.readouterr().err
    (tmp_path / 'a.png').touch()
    with pytest.raises(SystemExit, match='error: config.py: no such file'):
        run_tool(*ARGUMENTS[:3], tmp_path, 'out', '--classes', 'a')
