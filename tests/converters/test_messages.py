"""Error messages of the converters name command-line options, and these exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = sorted((ROOT / 'tools' / 'dataset_converters').glob('*.py'))
TOOLS.append(ROOT / 'mmp2seg' / 'apis' / 'arguments.py')
OPTIONS = set().union(*(re.findall(r"'(--[a-z-]+)'", tool.read_text()) for tool in TOOLS))
SOURCES = sorted((ROOT / 'mmp2seg' / 'converters').rglob('*.py'))
FOREIGN = {'--convert-to-rle'}  # an option of SAM's script


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: path.stem)
def test_options_in_messages_exist(path):
    assert set(re.findall(r'--[a-z][a-z-]*', path.read_text())) - FOREIGN <= OPTIONS


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: path.stem)
def test_messages_name_no_python_arguments(path):
    """Messages say ``--image-dir``, not ``image_dir``."""
    arguments = '|'.join(option[2:].replace('-', '_') for option in OPTIONS if '-' in option[2:])
    texts = [
        node.value
        for statement in ast.walk(ast.parse(path.read_text()))
        if isinstance(statement, ast.Raise)
        for node in ast.walk(statement)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert [text for text in texts if re.search(rf'\b({arguments})\b', text)] == []
