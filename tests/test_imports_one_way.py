"""The layout of the package: import layers, and a test file for every module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'mmp2seg'
MODULES = sorted(
    path for path in PACKAGE.rglob('*.py') if '.mim' not in path.relative_to(PACKAGE).parts
)

# A folder imports from itself and from those above it in this list (docs/design.md).
LAYERS = [
    'version',
    'registry',
    'deprecation',
    'files',
    'ops',
    'structures',
    'codecs',
    'datasets',
    'converters',
    'models',
    'segmenters',
    'pseudo_labels',
    'evaluation',
    'visualization',
    'engine',
    'apis',
    'annotation',
    'napari_plugin',
    'label_studio',
    'analysis',
    'experiments',
    'testing',
]
RANK = {name: rank for rank, name in enumerate(LAYERS)}


def name_of(path):
    return str(path.relative_to(PACKAGE))


def imported_modules(source, package):
    """Absolute names of what ``source`` imports, at any depth; ``package`` resolves dots."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = '.'.join([*base, *([node.module] if node.module else [])])
            names.append(module)
            names += [f'{module}.{alias.name}' for alias in node.names]
    return names


def imports_of(path):
    package = ('mmp2seg', *path.relative_to(PACKAGE).parts[:-1])
    return imported_modules(path.read_text(), package)


def layer_of(module):
    """The layer a module name belongs to: 'mmp2seg.ops.masks' -> 'ops'; None outside of mmp2seg."""
    parts = module.split('.')
    return parts[1] if parts[0] == 'mmp2seg' and len(parts) > 1 and parts[1] in RANK else None


def test_imported_modules_resolves_every_form():
    source = 'import a.b\nfrom c import d\nfrom . import e\nfrom ..f import g\n'
    names = imported_modules(source, ('p', 'q'))
    assert {'a.b', 'c', 'c.d', 'p.q.e', 'p.f', 'p.f.g'} <= set(names)


def test_every_folder_has_a_layer():
    folders = {path.relative_to(PACKAGE).parts[0] for path in MODULES}
    assert {name.removesuffix('.py') for name in folders} - {'__init__'} <= set(RANK)


@pytest.mark.parametrize('path', MODULES, ids=name_of)
def test_imports_point_one_way(path):
    layer = path.relative_to(PACKAGE).parts[0].removesuffix('.py')
    if layer == '__init__':
        return
    wrong = [
        module
        for module in imports_of(path)
        if (other := layer_of(module)) and RANK[other] > RANK[layer]
    ]
    assert wrong == []


@pytest.mark.parametrize(
    'path', [p for p in MODULES if 'ops' in p.relative_to(PACKAGE).parts[:1]], ids=name_of
)
def test_ops_import_no_framework(path):
    frameworks = {'mmengine', 'mmcv', 'mmdet', 'mmseg'}
    assert [name for name in imports_of(path) if name.split('.')[0] in frameworks] == []
    ours = [name for name in imports_of(path) if name.split('.')[0] == 'mmp2seg']
    assert [name for name in ours if layer_of(name) != 'ops'] == []


@pytest.mark.parametrize(
    'path', [p for p in MODULES if p.name not in ('__init__.py', 'version.py')], ids=name_of
)
def test_every_module_has_its_test_file(path):
    relative = path.relative_to(PACKAGE)
    assert (ROOT / 'tests' / relative.parent / f'test_{relative.name}').is_file()
