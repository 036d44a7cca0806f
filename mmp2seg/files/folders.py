"""Atomic writing of folders, and links or copies of files."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path


@contextlib.contextmanager
def complete_folder(
    root: str | Path, *, overwrite: bool = False, inputs: Iterable[str | Path] = ()
) -> Iterator[Path]:
    """Write a folder atomically.

    Yield a temporary folder beside ``root``. It is renamed to ``root`` when the block ends without
    error, and removed otherwise. With ``overwrite`` the old folder stays in place until then.

    Args:
        root: the folder to write.
        overwrite: replace a folder that is not empty. The error message suggests the command-line
            option ``--overwrite``, which every command that calls this function has.
        inputs: files and folders that the block reads. They must not be in ``root``, because
            ``overwrite`` would delete them.

    Raises:
        ValueError: an input is ``root`` or is inside it.
        FileExistsError: ``root`` is a file, or it is not empty and ``overwrite`` is False.
    """
    root = Path(root)
    for path in inputs:
        if Path(path).resolve().is_relative_to(root.resolve()):
            raise ValueError(f'{root}: expected a folder that holds none of the input, got {path}')
    if root.exists() and not root.is_dir():
        raise FileExistsError(f'{root}: expected a folder, got a file')
    if root.is_dir() and any(root.iterdir()) and not overwrite:
        raise FileExistsError(f'{root}: the folder is not empty (--overwrite replaces it)')
    root.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f'.{root.name}.partial-', dir=root.parent))
    partial.chmod(0o755)  # mkdtemp gives 0o700
    try:
        yield partial
        if root.is_dir():
            old = Path(tempfile.mkdtemp(prefix=f'.{root.name}.old-', dir=root.parent))
            root.rename(old / 'folder')
            partial.rename(root)
            shutil.rmtree(old)
        else:
            partial.rename(root)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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
