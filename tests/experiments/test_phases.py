import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmp2seg.experiments.commands import RunError
from mmp2seg.experiments.phases import Phase, file_name, format_seconds, run_phases

ROOT = Path(__file__).resolve().parents[2]


class Chain:
    """Two phases whose commands record their arguments; the second one can be resumed."""

    def __init__(self, folder):
        self.folder = folder
        self.arguments = {'one': ['1'], 'two': ['2']}
        self.fails = set()

    def phase(self, name, **options):
        def commands():
            output = self.folder / name / 'out'
            fail = self.folder / f'fail_{name}'
            code = (
                'import os, sys; from pathlib import Path; '
                f'os.makedirs({str(output.parent)!r}, exist_ok=True); '
                f'open({str(output)!r}, "a").write(" ".join(sys.argv[1:]) + ";"); '
                f'print("said", os.environ["SAID"]); sys.exit(Path({str(fail)!r}).exists())'
            )
            return [[sys.executable, '-c', code, *self.arguments[name]]]

        return Phase(name, f'phase {name}', commands, self.folder / name, **options)

    def run(self):
        phases = [self.phase('one'), self.phase('two', resumes=True)]
        return run_phases(phases, self.folder / 'logs', environment={**os.environ, 'SAID': 'hello'})

    def output(self, name):
        return (self.folder / name / 'out').read_text()

    def fail(self, name, on=True):
        path = self.folder / f'fail_{name}'
        path.touch() if on else path.unlink()


@pytest.fixture
def chain(tmp_path):
    return Chain(tmp_path)


def test_finished_phases_are_not_run_again(chain, capsys):
    first = chain.run()
    assert list(first) == ['one', 'two'] and min(first.values()) > 0
    assert 'said hello' in (chain.folder / 'logs' / 'two.log').read_text()
    capsys.readouterr()
    assert chain.run() == first
    assert (chain.output('one'), chain.output('two')) == ('1;', '2;')
    assert capsys.readouterr().out.count('finished before') == 2


def test_a_changed_command_runs_again_with_all_that_follows(chain):
    chain.run()
    chain.arguments['two'] = ['3']
    chain.run()
    # the folder was removed, so nothing of the old run is left
    assert (chain.output('one'), chain.output('two')) == ('1;', '3;')
    (chain.folder / 'two' / 'rest').touch()
    chain.arguments['one'] = ['4']
    chain.run()
    assert (chain.output('one'), chain.output('two')) == ('4;', '3;')
    assert not (chain.folder / 'two' / 'rest').exists()


def test_a_file_that_is_gone(tmp_path):
    gone = tmp_path / 'train' / 'last_checkpoint'
    phase = Phase('test', 'test it', lambda: [[gone.read_text()]], tmp_path / 'test')
    with pytest.raises(
        RunError, match=r'test it: expected .*last_checkpoint.*done\.json in .*logs'
    ):
        run_phases([phase], tmp_path / 'logs', environment={})


def test_a_broken_stamp_counts_as_none(chain):
    chain.run()
    (chain.folder / 'logs' / 'two.done.json').write_text('{')
    chain.run()
    assert chain.output('two') == '2;'


def test_failure_names_command_and_log_and_stops_the_chain(chain, capsys):
    chain.fail('one')
    with pytest.raises(RunError, match=r'exit status 1 of: .*python.*\n.*logs/one\.log'):
        chain.run()
    assert 'said hello' in capsys.readouterr().err
    assert not (chain.folder / 'two').exists()


def test_only_a_phase_that_resumes_keeps_its_folder(chain):
    chain.fail('one')
    chain.fail('two')
    for _ in range(2):
        with pytest.raises(RunError):
            chain.run()
    assert chain.output('one') == '1;'
    chain.fail('one', on=False)
    for _ in range(2):
        with pytest.raises(RunError):
            chain.run()
    assert chain.output('two') == '2;2 --resume;'
    chain.fail('two', on=False)
    chain.run()
    assert chain.output('two') == '2;2 --resume;2 --resume;'
    stamp = json.loads((chain.folder / 'logs' / 'two.done.json').read_text())
    assert (
        stamp['commands'][0][-1] == '2'
    )  # without --resume, so that a second start finds the same command


def test_a_changed_command_does_not_resume(chain):
    chain.fail('two')
    with pytest.raises(RunError):
        chain.run()
    chain.fail('two', on=False)
    chain.arguments['two'] = ['5']
    chain.run()
    assert chain.output('two') == '5;'


def test_seconds_of_an_interrupted_run_count(chain):
    chain.fail('two')
    with pytest.raises(RunError):
        chain.run()
    started = chain.folder / 'logs' / 'two.started.json'
    state = json.loads(started.read_text())
    started.write_text(json.dumps({**state, 'seconds': 1000.0}))
    chain.fail('two', on=False)
    assert chain.run()['two'] > 1000


SLEEPER = """
import sys, time
from pathlib import Path
from mmp2seg.experiments.phases import Phase, run_phases
folder = Path(sys.argv[1])
code = 'import os, sys, time; print(os.getpid(), file=open(sys.argv[1], "w")); time.sleep(60)'
command = [sys.executable, '-c', code, str(folder / 'pid')]
try:
    run_phases([Phase('a', 'a', lambda: [command], folder / 'a')], folder, environment={})
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_interrupt_ends_the_command_too(tmp_path):
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, '-c', SLEEPER, tmp_path],
        env=environment,
        # a test run in the background of a shell ignores SIGINT, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    pid_file = tmp_path / 'pid'
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text().strip()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)
    assert not (tmp_path / 'a.done.json').exists()


@pytest.mark.parametrize(
    ('seconds', 'text'), [(0.4, '0 s'), (59.4, '59 s'), (59.6, '1 min 00 s'), (125, '2 min 05 s')]
)
def test_format_seconds(seconds, text):
    assert format_seconds(seconds) == text


def test_file_names():
    assert file_name('tiny_shapes_s2i') == 'tiny_shapes_s2i'
    assert file_name('a[beta=2.0]') == 'a__beta-2.0'
    assert file_name('a[x+y=1,distiller.beta=2.0]') == 'a__x+y-1__distiller.beta-2.0'
    assert file_name('a[k=1]-nearest') == 'a__k-1-nearest'
    names = ['a[k=x/y]', 'a[k=x-y]', 'a[k=(1,2)]', 'a[k=[1,2]]', 'a[k=../b]']
    files = [file_name(name) for name in names]
    assert files[1] == 'a__k-x-y'
    assert len(set(files)) == 5 and not set(''.join(files)) & set('/[](),= ')
