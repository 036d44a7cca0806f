"""Run jobs side by side, each in a process of its own that ends with this one."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

from mmp2seg.experiments.phases import PhaseError


@dataclass(frozen=True)
class Job:
    """A piece of work.

    Attributes:
        title: of the job, for the reader.
        run: the work; picklable for more than one worker. Fails with a :class:`PhaseError`.
        log: gets what ``run`` prints where several jobs run side by side.
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
    """Run all jobs, at most ``num_workers`` at a time, in order; a failed one stops no other.

    A single worker is this process, with the output where it is. Several are processes of their
    own. They are stopped like this process is, also when it is killed.

    Args:
        report: called with a job that has ended and what went wrong, None if nothing did.

    Returns:
        dict: what went wrong, by the title of the job.

    Raises:
        ValueError: ``num_workers`` is not positive.
        KeyboardInterrupt: when the running jobs have ended, too.
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
        except PhaseError as failure:
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
                theirs.close()  # else the end of the worker would not close the connection
                running[ours] = job, process
            for connection in wait(list(running)):
                job, process = running[connection]
                error = _outcome(connection, process)
                del running[connection]
                connection.close()
                ended(job, error)
    finally:
        for connection in running:
            connection.close()  # what the workers take for an interrupt
        for _, process in running.values():
            process.join()


def _outcome(connection: Connection, process: multiprocessing.Process) -> str | None:
    """What a worker reports: None for success."""
    try:
        error = connection.recv()
    except (EOFError, OSError):
        process.join()
        return f'its process ended with status {process.exitcode}'
    process.join()
    return error


def _work(job: Job, connection: Connection) -> None:
    """Body of a worker: run the job, report how it ended."""
    if hasattr(os, 'setsid'):
        os.setsid()  # Ctrl-C reaches this process by its parent alone, and so only once
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
        except PhaseError as error:
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
