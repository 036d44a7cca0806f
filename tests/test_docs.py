"""The docs name configs, tools, modules, pages and headings that exist, and known options."""

import ast
import re
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'configs/README.md')),
    *sorted((ROOT / 'docs').glob('*.md')),
]
# a path into the repository, with {a,b} for alternatives, * for any and <name> for a place holder
PATH = re.compile(r'(?<![\w/.])(?:configs|tools|mmp2seg|docs|tests)/[\w\-./{},*<>]*[\w}*>]')
TOOL = re.compile(r'(tools/[\w/]+\.py)\b')


def alternatives(path):
    """'a{b,c}d' -> 'abd', 'acd'."""
    parts = [part.split(',') for part in re.split(r'[{}]', path)]
    return [''.join(choice) for choice in product(*parts)]


def commands(text):
    """Shell commands of a page: blocks of code, continued lines joined, and inline code."""
    blocks = re.findall(r'```bash\n(.*?)```', text, re.DOTALL)
    lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
    inline = re.findall(r'`([^`]+)`', re.sub(r'```.*?```', '', text, flags=re.DOTALL))
    return [line.split(' #')[0] for line in [*lines, *(code.replace('\n', ' ') for code in inline)]]


def test_alternatives():
    assert alternatives('a{b,c}d') == ['abd', 'acd']
    assert alternatives('a/b.py') == ['a/b.py']


def test_commands_are_found():
    text = 'x\n```bash\npython tools/a.py \\\n    --b\n```\nand `tools/c.py\n--d` here'
    assert [' '.join(c.split()) for c in commands(text)] == [
        'python tools/a.py --b',
        'tools/c.py --d',
    ]


def anchors(text):
    """Anchors that GitHub, and the site, make of the headings of a page."""
    headings = re.findall(
        r'^#+ (.+)$', re.sub(r'```.*?```', '', text, flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def test_anchors():
    assert anchors('# A `b`: c-d\n```\n# no\n```\n') == {'a-b-c-d'}


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    broken = []
    for link in re.findall(r'\]\(([^)\s]+)\)', page.read_text()):
        if link.startswith(('https://', 'http://')):
            continue
        path, _, anchor = link.partition('#')
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_paths_exist(page):
    missing = []
    for found in PATH.findall(page.read_text()):
        for path in alternatives(found):
            pattern = re.sub(r'<\w+>', '*', path).rstrip('/')
            if not any(ROOT.glob(pattern)):
                missing.append(path)
    assert missing == []


def shared_arguments(source):
    """Source of the shared functions that add arguments and that a tool calls, directly or not."""
    functions = {}
    for package in ('apis', 'experiments'):
        text = (ROOT / 'mmp2seg' / package / 'arguments.py').read_text()
        functions |= {
            node.name: ast.get_source_segment(text, node)
            for node in ast.parse(text).body
            if isinstance(node, ast.FunctionDef)
        }
    found, added = '', [source]
    while added:
        called = [name for name in functions if any(f'{name}(' in text for text in added)]
        added = [functions.pop(name) for name in called]
        found += ''.join(added)
    return found


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_options_are_those_of_the_tool(page):
    unknown = []
    for command in commands(page.read_text()):
        tool = TOOL.search(command)
        if tool is None or not (ROOT / tool.group(1)).is_file():
            continue
        source = (ROOT / tool.group(1)).read_text()
        source += shared_arguments(source)
        for option in re.findall(r'(?<=\s)--[a-z][\w-]*', command[tool.end() :]):
            if f"'{option}'" not in source:
                unknown.append((tool.group(1), option))
    assert unknown == []
