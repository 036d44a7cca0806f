import runpy

import pytest

from mmp2seg.analysis.soak import training
from mmp2seg.analysis.soak.usage import Usage
from mmp2seg.apis.arguments import CommandError

from .tool_runs import TOOLS


@pytest.mark.parametrize('leak', [0, 3])
def test_growth_is_a_failure(monkeypatch, capsys, tmp_path, leak):
    main = runpy.run_path(str(TOOLS / 'analysis_tools' / 'soak.py'))['main']
    given = {}

    def soak(cfg, folder, *, report, **options):
        given.update(options)
        usages = [Usage(60.0 * k, 10 * k, 500, 20 + leak * k, 2) for k in range(20)]
        report(usages[1])
        return usages

    monkeypatch.setattr(training, 'soak_training', soak)
    argv = ['--minutes', '2', '--num-workers', '1', '--json', str(tmp_path / 'out.json')]
    if leak:
        with pytest.raises(CommandError, match='open files: 41 at first, 71 at the end'):
            main(argv)
    else:
        main(argv)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == (f'1.00 min 10 steps 500 MiB {20 + leak} files 2 processes'.split())
    assert lines[1:] == ([] if leak else ['flat over 19.0 minutes and 190 steps'])
    assert given == dict(minutes=2.0, interval=1.0, num_workers=1)
    assert (tmp_path / 'out.json').is_file()
