import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmp2seg.experiments.commands import run_logged
from mmp2seg.experiments.job_pool import Job, run_jobs

ROOT = Path(__file__).resolve().parents[2]


def python_job(folder, title, code):
    """A job that runs ``code`` in a separate process."""
    log = folder / f'{title}.log'
    command = [sys.executable, '-c', code, str(folder)]
    run = functools.partial(run_logged, command, log, environment=dict(os.environ))
    return Job(title, run, folder / 'jobs' / f'{title}.log')


# waits for {number} files, one from each job
MEET = """
import pathlib, sys, time
folder, deadline = pathlib.Path(sys.argv[1]), time.monotonic() + 30
(folder / 'here_{name}').touch()
while len(list(folder.glob('here_*'))) < {number}:
    assert time.monotonic() < deadline
    time.sleep(0.02)
"""


def test_jobs_run_side_by_side(tmp_path):
    jobs = [python_job(tmp_path, name, MEET.format(name=name, number=2)) for name in 'ab']
    ended = []
    assert run_jobs(jobs, num_workers=2, report=lambda *outcome: ended.append(outcome)) == {}
    assert sorted(ended, key=lambda outcome: outcome[0].title) == [(job, None) for job in jobs]


@pytest.mark.parametrize('num_workers', [1, 2])
def test_a_failure_stops_no_other_job(tmp_path, capfd, num_workers):
    jobs = [
        python_job(tmp_path, 'bad', 'print("what happened"); raise SystemExit(3)'),
        python_job(tmp_path, 'good', 'import sys; open(sys.argv[1] + "/done", "w")'),
    ]
    ended = []
    errors = run_jobs(jobs, num_workers=num_workers, report=lambda *outcome: ended.append(outcome))
    assert list(errors) == ['bad']
    assert 'exit status 3' in errors['bad'] and str(tmp_path / 'bad.log') in errors['bad']
    assert (tmp_path / 'done').exists()
    assert {(job.title, error) for job, error in ended} == {('bad', errors['bad']), ('good', None)}
    # the output of parallel jobs goes to their logs
    log, printed = tmp_path / 'jobs' / 'bad.log', capfd.readouterr().err
    assert ('what happened' in printed) == (num_workers == 1)
    assert (log.exists() and 'what happened' in log.read_text()) == (num_workers > 1)


def test_a_worker_that_dies_is_reported(tmp_path):
    jobs = [Job('a', functools.partial(os._exit, 7), tmp_path / 'log')]
    assert run_jobs(jobs, num_workers=2) == {'a': 'its process ended with status 7'}


def test_an_error_of_ours_is_not_taken_for_a_failed_command(tmp_path):
    with pytest.raises(ZeroDivisionError):
        run_jobs([Job('a', functools.partial(divmod, 1, 0), tmp_path / 'log')])
    with pytest.raises(ValueError, match='at least 1 worker, got 0'):
        run_jobs([], num_workers=0)


def test_no_jobs():
    assert run_jobs([]) == run_jobs([], num_workers=2) == {}


SLEEPERS = """
import functools, os, sys
from pathlib import Path
from mmp2seg.experiments.job_pool import Job, run_jobs
from mmp2seg.experiments.commands import run_logged
if __name__ == '__main__':
    folder = Path(sys.argv[1])
    jobs = []
    for name in 'ab':
        code = 'import os, sys, time; print(os.getpid(), file=open(sys.argv[1], "w"), flush=True)'
        command = [sys.executable, '-c', code + '; time.sleep(60)', str(folder / f'{name}.pid')]
        log = folder / f'{name}.log'
        run = functools.partial(run_logged, command, log, environment={})
        jobs.append(Job(name, run, folder / f'{name}.job'))
    try:
        run_jobs(jobs, num_workers=int(sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
@pytest.mark.parametrize('num_workers', [1, 2])
def test_jobs_end_with_the_process_that_runs_them(tmp_path, number, status, num_workers):
    script = tmp_path / 'run.py'
    script.write_text(SLEEPERS)
    process = subprocess.Popen(
        [sys.executable, script, tmp_path, str(num_workers)],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        # a test run in the background of a shell ignores SIGINT, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    paths = [tmp_path / f'{name}.pid' for name in 'ab'[:num_workers]]
    pids = [wait_for(lambda path=path: read_pid(path)) for path in paths]
    process.send_signal(number)
    assert process.wait(30) == status
    wait_for(lambda: not any(is_running(pid) for pid in pids))


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not (result := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return result


def read_pid(path):
    text = path.read_text() if path.exists() else ''
    return int(text) if text.endswith('\n') else None


def is_running(pid):
    """Whether a process exists and is not a zombie."""
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rsplit(')')[-1].split()[0]
    except FileNotFoundError:
        return False
    return state != 'Z'
