"""Folders that appear whole or not at all, and their files as links or copies."""

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
    """Write a folder whole or not at all.

    Yields a temporary folder beside ``root``, which takes its name when the block ends well and is
    removed when it does not. With ``overwrite`` the old folder stays in place until then.

    Args:
        root: the folder to write.
        overwrite: replace a folder that is not empty.
        inputs: files and folders that are read; with ``overwrite`` one in ``root`` would be lost.

    Raises:
        ValueError: if one of the inputs is ``root`` or lies in it.
        FileExistsError: if ``root`` is a file, or holds anything and ``overwrite`` is not set.
    """
    root = Path(root)
    for path in inputs:
        if Path(path).resolve().is_relative_to(root.resolve()):
            raise ValueError(f'{root}: expected a folder that holds none of the input, got {path}')
    if root.exists() and not root.is_dir():
        raise FileExistsError(f'{root}: expected a folder, got a file')
    if root.is_dir() and any(root.iterdir()) and not overwrite:
        raise FileExistsError(f'{root}: the folder is not empty (overwrite it explicitly)')
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
    """Put a file or folder at another place, as a symbolic link or as a copy.

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
