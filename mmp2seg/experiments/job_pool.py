"""Run jobs in parallel, each in its own process that ends with this one."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from mmp2seg.experiments.commands import RunError


@dataclass(frozen=True)
class Job:
    """A piece of work.

    Attributes:
        title: the title of the job, shown to the user.
        run: the work; raises :class:`RunError` on failure. Picklable for more than one worker.
        log: for the output of ``run`` if there is more than one worker.
    """

    title: str
    run: Callable[[], None]
    log: Path


def run_jobs(
    jobs: Sequence[Job],
    *,
    num_workers: int = 1,
    report: Callable[[Job, str | None], None] = lambda job, error: None,
) -> dict[str, str]:
    """Run all jobs in order, at most ``num_workers`` at a time; a failure does not stop the others.

    A single worker is this process, and its output is not redirected. Several workers are child
    processes, which also end when this process is interrupted or killed.

    Args:
        report: called with each job that has ended and its error, None for success.

    Returns:
        dict: the errors by title of the job.

    Raises:
        ValueError: ``num_workers`` is not positive.
        KeyboardInterrupt: after the running jobs have ended.
    """
    if num_workers < 1:
        raise ValueError(f'expected at least 1 worker, got {num_workers}')
    errors = {}

    def ended(job: Job, error: str | None) -> None:
        if error is not None:
            errors[job.title] = error
        report(job, error)

    if num_workers == 1:
        _run_here(jobs, ended)
    else:
        _run_beside(jobs, num_workers, ended)
    return errors


def _run_here(jobs: Sequence[Job], ended: Callable[[Job, str | None], None]) -> None:
    for job in jobs:
        error = None
        try:
            job.run()
        except RunError as failure:
            error = str(failure)
        ended(job, error)


def _run_beside(
    jobs: Sequence[Job], num_workers: int, ended: Callable[[Job, str | None], None]
) -> None:
    context = multiprocessing.get_context('spawn')
    waiting, running = list(jobs), {}
    try:
        while waiting or running:
            while waiting and len(running) < num_workers:
                job = waiting.pop(0)
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(job, theirs))
                process.start()
                theirs.close()  # otherwise the connection would outlive the worker
                running[ours] = job, process
            for connection in wait(list(running)):
                job, process = running[connection]
                error = _outcome(connection, process)
                del running[connection]
                connection.close()
                ended(job, error)
    finally:
        for connection in running:
            connection.close()  # the workers treat this as an interrupt
        for _, process in running.values():
            process.join()


def _outcome(connection: Connection, process: multiprocessing.Process) -> str | None:
    """Return the error that a worker reports, None for success."""
    try:
        error = connection.recv()
    except (EOFError, OSError):
        process.join()
        return f'its process ended with status {process.exitcode}'
    process.join()
    return error


def _work(job: Job, connection: Connection) -> None:
    """Run a job in a worker process and report its error."""
    if hasattr(os, 'setsid'):
        os.setsid()  # Ctrl-C reaches this process only once, through its parent
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_interrupt_when_closed, args=(connection,), daemon=True).start()
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(job.log, 'a', encoding='utf-8') as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
    ):
        try:
            job.run()
        except RunError as error:
            outcome = str(error)
        except KeyboardInterrupt:
            return
        else:
            outcome = None
    connection.send(outcome)


def _interrupt_when_closed(connection: Connection) -> None:
    """Interrupt the main thread once the parent's end of the connection is closed."""
    with contextlib.suppress(EOFError, OSError):
        connection.recv()  # nothing is ever sent
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
