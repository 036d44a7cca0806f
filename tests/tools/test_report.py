import pytest

from mmp2seg.files.atomic_write import write_json

from .tool_runs import run_tool


def test_report_of_a_work_dir(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'work').mkdir()
    labels = dict(images=[], categories=[dict(id=1, name='cat')], annotations=[])
    write_json('labels.json', dict(labels, dropped_points=[]))
    arguments = ['--labels', 'labels.json', '--images', '.', '--out', 'report.html']
    run_tool('report', 'work', *arguments)
    assert capsys.readouterr().out.splitlines()[-1].startswith('report.html: 0.')
    assert 'Points without a mask' in (tmp_path / 'report.html').read_text()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--images', 'x'], '--images needs --labels'),
        (['--semantic-maps', 'x'], '--semantic-maps needs --labels'),
        (['--labels', 'x', '--semantic-maps', 'x'], '--semantic-maps needs --images'),
    ],
)
def test_options_that_need_others(arguments, message, capsys):
    with pytest.raises(SystemExit) as error:
        run_tool('report', 'work', '--out', 'r.html', *arguments)
    assert error.value.code == 2 and message in capsys.readouterr().err


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(SystemExit) as error:
        run_tool('report', tmp_path / 'gone', '--out', tmp_path / 'r.html')
    assert error.value.code == f'report.py: error: {tmp_path / "gone"}: no such folder'
