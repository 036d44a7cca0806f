"""Sphinx builds the site of this folder: bash tools/build_docs.sh. It needs no network."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout builds uninstalled

from mmp2seg.version import __version__

project = 'mmp2seg'
version = release = __version__

extensions = [
    'myst_parser',  # the pages are Markdown, readable on GitHub too
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',  # docstrings in Google's style
]
exclude_patterns = ['_build']

# Anchors as GitHub makes them, so that page.md#heading works in both places.
myst_heading_anchors = 4
myst_enable_extensions = ['colon_fence']

autodoc_default_options = {'members': True, 'member-order': 'bysource', 'show-inheritance': True}
autodoc_typehints_format = 'short'
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # a field of a dataclass is documented once
napoleon_use_rtype = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = 'hide'

html_theme = 'sphinx_book_theme'
html_title = f'mmp2seg {__version__}'
html_static_path = ['_static']
html_css_files = ['site.css']
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {
    'navbar_persistent': [],
    'show_toc_level': 2,
    'use_download_button': False,
    'use_fullscreen_button': False,
}
