"""Packaging of mmp2seg.

torch, mmengine, mmcv, mmdet and mmseg are not in ``install_requires``: two sets of distributions
share the same import names, and pip would install one over the other. The `mim` extra and
``requirements/mminstall.txt`` name the tested set.
"""

import ast
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
MIM_FOLDER = ROOT / 'mmp2seg' / '.mim'
MIM_CONTENT = ('configs', 'tools', 'model-index.yml')


def read_version() -> str:
    """Read ``__version__`` from mmp2seg/version.py without importing the package."""
    tree = ast.parse((ROOT / 'mmp2seg' / 'version.py').read_text(encoding='utf-8'))
    for node in tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == '__version__':
            return ast.literal_eval(node.value)
    raise RuntimeError('mmp2seg/version.py does not set __version__')


def read_requirements(name: str) -> list[str]:
    """Read the requirements in requirements/<name>.txt, without comments and blank lines."""
    text = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8')
    lines = (line.split('#')[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


@contextmanager
def mim_content(arguments: list[str]) -> Iterator[None]:
    """Put configs, tools and the model index into ``mmp2seg/.mim``, where MIM looks for them.

    An editable install links them, so that changes to a config take effect at once. A wheel or an
    sdist copies them, and restores the links of an earlier editable install afterwards. If the
    originals are missing (a wheel built from an sdist), the content of the folder is kept.
    """
    editable = {'develop', 'editable_wheel'} & set(arguments)
    if not editable and not {'sdist', 'bdist_wheel'} & set(arguments):
        yield
        return
    links = {path: os.readlink(path) for path in MIM_FOLDER.glob('*') if path.is_symlink()}
    try:
        add_mim_content(linked=bool(editable))
        yield
    finally:
        if not editable:
            for path, target in links.items():
                remove(path)
                path.symlink_to(target)


def add_mim_content(*, linked: bool) -> None:
    # otherwise setuptools adds the files of earlier builds to the wheel, such as renamed configs
    remove(ROOT / 'build' / 'lib')
    MIM_FOLDER.mkdir(exist_ok=True)
    for name in MIM_CONTENT:
        source, target = ROOT / name, MIM_FOLDER / name
        if not source.exists():
            continue
        remove(target)
        if linked:
            try:
                target.symlink_to(os.path.relpath(source, MIM_FOLDER))
                continue
            except OSError:  # Windows without the privilege to create links
                pass
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copyfile(source, target)


def main() -> None:
    runtime, tests, mim, pretrained, sam, napari, label_studio = (
        read_requirements(name)
        for name in (
            'runtime',
            'tests',
            'mminstall',
            'pretrained',
            'sam',
            'napari',
            'label-studio',
        )
    )
    setup(
        name='mmp2seg',
        version=read_version(),
        description='Instance segmentation from one point per object (P2Seg) for MMDetection and '
        'MMSegmentation',
        long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
        long_description_content_type='text/markdown',
        license='Apache-2.0',
        keywords=[
            'computer vision',
            'instance segmentation',
            'weakly supervised learning',
            'point annotation',
        ],
        classifiers=[
            'Development Status :: 4 - Beta',
            'Intended Audience :: Science/Research',
            'Operating System :: POSIX',
            'Programming Language :: Python :: 3',
            'Topic :: Scientific/Engineering :: Artificial Intelligence',
        ],
        python_requires='>=3.10',
        packages=find_packages(include=['mmp2seg', 'mmp2seg.*']),
        include_package_data=True,
        package_data={'mmp2seg': ['py.typed', 'annotation/page/*', 'napari_plugin/napari.yaml']},
        install_requires=runtime,
        extras_require={
            'mim': mim,
            'pretrained': pretrained,
            'sam': sam,
            'napari': napari,
            'label-studio': label_studio,
            'tests': tests,
            # without label-studio, which brings a second OpenCV, and napari, which brings Qt
            'all': runtime + mim + pretrained + sam + tests,
        },
        entry_points={
            'console_scripts': ['mmp2seg = mmp2seg.apis.cli:main'],
            'napari.manifest': ['mmp2seg = mmp2seg.napari_plugin:napari.yaml'],
        },
        zip_safe=False,
    )


if __name__ == '__main__':
    with mim_content(sys.argv[1:]):
        main()
