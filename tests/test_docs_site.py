"""The site of docs/ builds without a warning, its links lead somewhere, and it needs no network."""

import ast
import re
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from mmengine.registry import Registry

from mmp2seg import registry as registries

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def site(tmp_path_factory):
    """Build the site; a warning, such as a link to a missing page or heading, fails the build."""
    for package in ('sphinx', 'myst_parser', 'sphinx_book_theme'):
        pytest.importorskip(package)
    from sphinx.cmd.build import main

    out = tmp_path_factory.mktemp('site')
    options = ['--fail-on-warning', '--keep-going', '--quiet', '-b', 'html']
    assert main([*options, '-d', str(out / 'trees'), str(ROOT / 'docs'), str(out / 'html')]) == 0
    return out / 'html'


class Page(HTMLParser):
    """Ids, links, and what a browser loads of a page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding='utf-8'))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[key] for key in ('id', 'name') if attrs.get(key)}
        if tag == 'a' and attrs.get('href'):
            self.links.append(attrs['href'])
        elif tag == 'link' and attrs.get('rel') not in (
            'canonical',
            'search',
            'index',
            'next',
            'prev',
        ):
            self.loaded.append(attrs['href'])
        elif tag in ('img', 'script', 'iframe', 'object') and attrs.get('src', attrs.get('data')):
            self.loaded.append(attrs.get('src', attrs.get('data')))


def pages_of(site):
    return [path for path in sorted(site.rglob('*.html')) if '_static' not in path.parts]


def test_links_lead_somewhere(site):
    page = cache(Page)
    broken = []
    for path in pages_of(site):
        for link in page(path).links + page(path).loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            found = target.is_file()
            if found and parts.fragment and target.suffix == '.html':
                found = unquote(parts.fragment) in page(target).ids
            if not found:
                broken.append((path.relative_to(site), link))
    assert broken == []


def test_no_page_loads_anything_from_the_network(site):
    loaded = {
        (path.name, address)
        for path in pages_of(site)
        for address in Page(path).loaded
        if urlsplit(address).scheme not in ('', 'data') or urlsplit(address).netloc
    }
    assert loaded == set()
    styles = [
        path
        for path in site.rglob('*.css')
        if re.search(r'url\(["\']?(https?:)?//', path.read_text())
    ]
    assert styles == []


def test_every_registered_component_is_in_the_reference(site):
    text = ''.join(path.read_text() for path in (site / 'api').glob('*.html'))
    missing = []
    for registry in vars(registries).values():
        if isinstance(registry, Registry) and registry.scope == registries.SCOPE:
            registry.import_from_location()
            missing += [
                name
                for name, part in registry.module_dict.items()
                if part.__module__.startswith('mmp2seg.')  # other tests register parts too
                and not re.search(rf'id="mmp2seg\.[\w.]+\.{name}"', text)
            ]
    assert missing == []


def test_build_script_hands_folders_on(tmp_path):
    tools = tmp_path / 'tools'
    tools.mkdir()
    shutil.copy(ROOT / 'tools' / 'build_docs.sh', tools)
    (tools / 'setup_env.sh').write_text('MMP2SEG_PYTHON=echo\n')
    for arguments, folder in (([], 'docs/_build'), (['out'], 'out')):
        command = ['bash', str(tools / 'build_docs.sh'), *arguments]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert output.split()[:3] == ['-m', 'sphinx', '--fail-on-warning']
        assert output.split()[-2:] == ['docs', folder]


# ------------------------------------------------------------------------------------------- faq

MESSAGE = re.compile(r'^### `(.+)`$', re.MULTILINE)
PLACE_HOLDER = '\0'


def strings_of(source):
    """Every string of Python code; the values of an f-string become place holders."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield ''.join(
                part.value if isinstance(part, ast.Constant) else PLACE_HOLDER
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@cache
def code_strings():
    files = [*(ROOT / 'mmp2seg').rglob('*.py'), *(ROOT / 'tools').rglob('*.py')]
    files = [path for path in files if '.mim' not in path.parts]
    found = {string for path in files for string in strings_of(path.read_text(encoding='utf-8'))}
    return {*found, (ROOT / 'tools' / 'setup_env.sh').read_text()}


def is_message(text):
    """Whether one string of the code has the parts of a message, in order; ``...`` is any value."""
    parts = [part for part in text.split('...') if part.strip()]
    pattern = re.compile('.*'.join(map(re.escape, parts)))
    return any(pattern.search(string) for string in code_strings())


def faq_messages():
    return MESSAGE.findall((ROOT / 'docs' / 'faq.md').read_text())


def test_is_message():
    assert is_message('...: the semantic map does not exist')
    assert is_message('checkpoint not found: ...')
    assert not is_message('checkpoint lost: ...')


def test_faq_has_messages():
    assert len(faq_messages()) >= 20


@pytest.mark.parametrize('message', faq_messages())
def test_messages_of_the_faq_are_those_of_the_code(message):
    assert is_message(message), message
