"""Atomic writing of folders, and links or copies of files."""

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmp2seg.files.atomic_write import is_abandoned, process_tag

_TRIAL_BYTES = 1 << 16


@contextlib.contextmanager
def complete_folder(
    root: str | Path, *, overwrite: bool = False, inputs: Iterable[str | Path] = ()
) -> Iterator[Path]:
    """Write a folder atomically.

    Yield a temporary folder beside ``root``. It is renamed to ``root`` when the block ends without
    error, and removed otherwise. With ``overwrite`` the old folder stays in place until then. What
    a process that was killed left behind is removed by the next one that writes the same folder.

    Args:
        root: the folder to write.
        overwrite: replace a folder that is not empty. The error message suggests the command-line
            option ``--overwrite``, which every command that calls this function has.
        inputs: files and folders that the block reads. They must not be in ``root``, because
            ``overwrite`` would delete them.

    Raises:
        ValueError: an input is ``root`` or is inside it.
        FileExistsError: ``root`` is a file, or it is not empty and ``overwrite`` is False.
        OSError: the folder cannot be written, or the disk is full; ``filename`` is in ``root``.
    """
    root = Path(root)
    for path in inputs:
        if Path(path).resolve().is_relative_to(root.resolve()):
            raise ValueError(f'{root}: expected a folder that holds none of the input, got {path}')
    require_writable(root.parent)
    _tidy_up(root)
    if root.exists() and not root.is_dir():
        raise FileExistsError(f'{root}: expected a folder, got a file')
    if root.is_dir() and any(root.iterdir()) and not overwrite:
        raise FileExistsError(f'{root}: the folder is not empty (--overwrite replaces it)')
    root.parent.mkdir(parents=True, exist_ok=True)
    tag = process_tag()
    partial = Path(tempfile.mkdtemp(prefix=f'.{root.name}.partial-{tag}-', dir=root.parent))
    partial.chmod(0o755)  # mkdtemp gives 0o700
    try:
        yield partial
        if root.is_dir():
            old = Path(tempfile.mkdtemp(prefix=f'.{root.name}.old-{tag}-', dir=root.parent))
            root.rename(old / 'folder')
            partial.rename(root)
            shutil.rmtree(old)
        else:
            partial.rename(root)
    except OSError as error:  # name the folder that the user knows
        if not str(error.filename).startswith(str(partial)):
            raise
        path = str(root) + str(error.filename)[len(str(partial)) :]
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_writable(folder: str | Path) -> None:
    """Check that a file can be written to a folder, before long work that ends in it.

    The folder may be missing: then its nearest parent is tried. Nothing stays behind.

    Raises:
        OSError: files cannot be written: no permission, a read-only or full disk, or a file in
            place of a folder; its ``filename`` is ``folder``.
    """
    folder = Path(folder)
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b' ' * _TRIAL_BYTES)
            file.flush()
            os.fsync(file.fileno())  # some file systems look for the space late
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(folder)) from error


def _tidy_up(root: Path) -> None:
    """Remove what killed processes left beside a folder; put the folder back if they moved it."""
    pattern = re.compile(rf'\.{re.escape(root.name)}\.(partial|old)-([0-9a-f]{{8}}-\d+)-\w+')
    for path in root.parent.iterdir() if root.parent.is_dir() else ():
        found = pattern.fullmatch(path.name)
        if not found or not is_abandoned(path, found[2]):
            continue
        if found[1] == 'old' and not root.exists() and (path / 'folder').is_dir():
            (path / 'folder').rename(root)
        shutil.rmtree(path, ignore_errors=True)


def link_or_copy(source: str | Path, target: str | Path, *, copy: bool = False) -> None:
    """Link to a file or folder, or copy it; create missing folders.

    Raises:
        FileNotFoundError: if the source does not exist.
    """
    source = Path(source)
    if not source.exists():
        raise FileNotFoundError(f'{source}: no such file or folder')
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    if not copy:
        os.symlink(source.resolve(), target)
    elif source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
