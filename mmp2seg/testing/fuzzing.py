"""Hand broken files to a reader, and watch what it does.

A reader may take a file or refuse it, with a ``ValueError``, an ``OSError`` or a ``CommandError``
whose message names the file and is one line that a terminal can show, perhaps followed by an
indented list. Anything else is a finding: another exception, a process that ends or hangs,
too much memory, a file opened for writing outside of the folder, a program that is started.
"""

import contextlib
import dataclasses
import faulthandler
import gc
import multiprocessing
import os
import random
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from mmp2seg.apis.arguments import CommandError
from mmp2seg.apis.command_errors import error_line
from mmp2seg.testing.mutations import WORDS, mutate

_TEXTS = ('.csv', '.tsv', '.txt', '.xml', '.py', '.jsonl', '.partial')
_KINDS = {'.json': 'json'} | dict.fromkeys(_TEXTS, 'text')
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events that change a file system: positions of the paths that change, and of the descriptors
# of the folders that they are relative to.
_CHANGING: dict[str, tuple[tuple[int, int], ...]] = {
    'os.mkdir': ((0, 2),),
    'os.remove': ((0, 1),),
    'os.rmdir': ((0, 1),),
    'os.rename': ((0, 2), (1, 3)),
    'os.symlink': ((1, 2),),
    'os.link': ((1, 3),),
}
_STARTING = ('os.system', 'os.exec', 'os.posix_spawn', 'os.spawn', 'subprocess.Popen', 'pty.spawn')


@dataclasses.dataclass(frozen=True)
class Reader:
    """What reads files, with valid ones.

    Attributes:
        name: name of the reader; the random choices depend on it and on the seed.
        files: contents by path in the reader's folder. :attr:`read` takes them without error.
        read: reads the folder. It may raise ``AssertionError`` for a result that must not be.
        fuzzed: the files to break; empty: all.
        renames: also rename and remove files, or replace them by folders and broken links.
    """

    name: str
    files: Mapping[str, bytes]
    read: Callable[[Path], Any]
    fuzzed: tuple[str, ...] = ()
    renames: bool = False

    def write(self, folder: Path, *, seed: int | None = None) -> None:
        """Write the files to a new folder: the valid ones, or with a seed a broken version."""
        rng = random.Random(f'{self.name}:{seed}')
        files = dict(self.files)
        targets = self.fuzzed or tuple(self.files)
        name = rng.choice(targets)
        renamed = seed is not None and self.renames and rng.random() < 0.15
        if seed is not None and not renamed:
            kind = _KINDS.get(Path(name).suffix.lower(), 'binary')
            others = [self.files[other] for other in targets]
            outside = str(folder.parent / 'outside')
            files[name] = mutate(files[name], rng, kind=kind, others=others, outside=outside)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        if renamed:
            _rename(folder / name, rng)


@dataclasses.dataclass(frozen=True)
class Finding:
    """What a reader must not do.

    Attributes:
        reader: name of the reader.
        seed: seed of the broken file.
        kind: name of the exception, or ``'message'``, ``'hang'``, ``'crash'``, ``'outside'``.
        place: where it was raised, as ``file:line``; empty if it is not known.
        detail: message of the exception, or what happened.
    """

    reader: str
    seed: int
    kind: str
    place: str
    detail: str

    def __str__(self) -> str:
        """Return a line."""
        return f'{self.reader} seed {self.seed}: {self.kind} {self.place}: {self.detail[:300]!r}'


def fuzz(
    reader: Reader,
    seeds: Iterable[int],
    *,
    folder: str | Path,
    limit_s: float = 20.0,
    memory: int = 2 << 30,
) -> tuple[list[Finding], int]:
    """Run a reader on a broken version of its files for each seed, in a process of its own.

    Needs Linux or another system that can fork. A process that ends or hangs is replaced.

    Args:
        reader: what reads, and its valid files.
        seeds: one broken version for each.
        folder: an existing folder for the files.
        limit_s: seconds per seed.
        memory: bytes that the process may allocate beyond what this one has.

    Returns:
        tuple: the findings, and the number of seeds whose files were refused.
    """
    todo, findings, num_refused = list(seeds), [], 0
    context = multiprocessing.get_context('fork')
    while todo:
        receiver, sender = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(reader, todo, Path(folder), sender, memory))
        worker.start()
        sender.close()
        try:
            while todo:
                if not receiver.poll(limit_s):
                    worker.kill()
                    findings.append(
                        Finding(reader.name, todo.pop(0), 'hang', '', f'no answer in {limit_s:g} s')
                    )
                    break
                finding, refused = receiver.recv()
                todo.pop(0)
                num_refused += refused
                findings += [finding] if finding else []
        except EOFError:  # it has ended
            worker.join()
            detail = f'the process ended with status {worker.exitcode}'
            findings.append(Finding(reader.name, todo.pop(0), 'crash', '', detail))
        worker.join()
        receiver.close()
    return findings, num_refused


def try_seed(reader: Reader, seed: int, folder: Path) -> tuple[Finding | None, bool]:
    """Write the broken files of a seed and read them in this process.

    Returns:
        tuple: the finding, if there is one, and whether the files were refused.
    """
    reader.write(folder, seed=seed)
    try:
        reader.read(folder)
    except (ValueError, OSError, CommandError) as error:
        wrong = _wrong_message(error_line(error), folder)  # as a command shows it
        if wrong is None:
            return None, True
        return Finding(reader.name, seed, 'message', _place(error), f'{wrong}: {error}'), True
    except Exception as error:
        return Finding(reader.name, seed, type(error).__name__, _place(error), str(error)), True
    return None, False


def summarize(findings: Iterable[Finding]) -> list[str]:
    """Return a line per kind and place of findings, the most frequent first."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.reader, finding.kind, finding.place), []).append(finding)
    ordered = sorted(groups.values(), key=len, reverse=True)
    return [f'{len(group)} x {group[0]}' for group in ordered]


def _work(reader: Reader, seeds: list[int], folder: Path, sender: Connection, memory: int) -> None:
    """Try the seeds in this process, and send what is found."""
    faulthandler.disable()  # it reports a crash to its own copy of the standard error
    with open(os.devnull, 'r+') as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
    allowed = folder.resolve() / 'root' / 'files'
    allowed.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(folder.resolve() / 'temporary')
    Path(tempfile.tempdir).mkdir(exist_ok=True)
    gc.freeze()  # some readers collect garbage, and would look at all that this process inherited
    with _limited(memory):
        guard = _Guard(allowed, Path(tempfile.tempdir))
        for seed in list(seeds):
            guard.seen.clear()
            finding, refused = try_seed(reader, seed, allowed)
            if guard.seen:  # also what a reader caught itself
                finding = Finding(reader.name, seed, 'outside', '', guard.seen[0])
            sender.send((finding, refused))
    shutil.rmtree(allowed, ignore_errors=True)


class _Guard:
    """Note what this process changes outside of folders, or starts; it lasts as long as it does."""

    def __init__(self, *allowed: Path) -> None:
        self.seen: list[str] = []
        self._allowed = tuple(f'{folder}{os.sep}' for folder in allowed)
        sys.addaudithook(self._look)

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == 'open':
            path, mode, flags = arguments
            writes = bool(flags & _WRITING) if isinstance(flags, int) else 'r' not in (mode or 'r')
            self._check(event, path) if writes else None
        elif event in _CHANGING:
            for position, folder in _CHANGING[event]:
                self._check(event, arguments[position], folder=arguments[folder])
        elif event in _STARTING:
            self.seen.append(f'{event} {arguments[0]!r:.200}')

    def _check(self, event: str, path: Any, *, folder: int = -1) -> None:
        if isinstance(path, int) or path is None:
            return
        base = os.getcwd() if folder < 0 else os.readlink(f'/proc/self/fd/{folder}')
        path = os.path.normpath(os.path.join(base, os.fsdecode(path)))
        real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
        inside = f'{real}{os.sep}'.startswith(self._allowed)
        if not inside and real != os.devnull and not real.endswith('.pyc'):
            self.seen.append(f'{event} {real!r:.200}')


@contextlib.contextmanager
def _limited(memory: int) -> Iterator[None]:
    """Let this process allocate so many bytes more than it has."""
    try:
        pages = int(Path('/proc/self/statm').read_text().split()[0])
    except OSError:  # not Linux
        yield
        return
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _wrong_message(message: str, folder: Path) -> str | None:
    """Say what is wrong with the message of an error; None if nothing is."""
    others = message.split('\n')[1:]
    if str(folder.parent) not in message:  # a json can name a file outside of the folder
        return 'names no file'
    if not all(line.startswith('  ') for line in others):
        return 'more than one line'
    return None


def _place(error: BaseException) -> str:
    """Return where an exception was raised: the last place in this package, and the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f'{os.sep}mmp2seg{os.sep}' in frame.filename]
    ours = [frame for frame in ours if f'{os.sep}testing{os.sep}' not in frame.filename]
    places = dict.fromkeys(
        f'{Path(frame.filename).name}:{frame.lineno}' for frame in (*ours[-1:], frames[-1])
    )
    return ' > '.join(places)


def _rename(path: Path, rng: random.Random) -> None:
    """Rename or remove a file, or replace it by a folder or a link."""
    data = path.read_bytes()
    path.unlink()
    change = rng.choice(('rename', 'rename', 'rename', 'remove', 'folder', 'link', 'loop'))
    if change == 'rename':
        word = rng.choice(WORDS).replace('/', '_').replace('\x00', '_')
        word = word.replace('\ud800', '\udcff')  # a name that is not UTF-8
        name = rng.choice((word, word + path.suffix, path.stem + path.suffix.upper()))
        with contextlib.suppress(OSError):  # a name that this file system does not take
            path.with_name(name if name.strip('.') else '_').write_bytes(data)
    elif change == 'folder':
        path.mkdir()
    elif change != 'remove':
        path.symlink_to(path.name if change == 'loop' else 'nowhere')
