"""Parts of a static HTML page. All text is escaped here; pictures are part of the page."""

import base64
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

# The browser itself refuses scripts and everything from outside of the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1200px; padding: 0 1em;
  color: #222; background: #fff; }
h2 { border-bottom: 1px solid #ccc; margin-top: 2em; }
nav a { margin-right: 1em; }
table { border-collapse: collapse; margin: .8em 0; }
th, td { border: 1px solid #ddd; padding: .25em .6em; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; }
.sheet { display: flex; flex-wrap: wrap; gap: 12px; }
figure { margin: 0; border: 1px solid #ddd; padding: 6px; max-width: 100%; }
figcaption { font-size: 13px; overflow-wrap: anywhere; }
pre { background: #f6f6f6; padding: 1em; overflow: auto; font-size: 12px; }
"""


def heading(text: str, *, anchor: str) -> str:
    """Return a heading that the page's navigation can link to."""
    return f'<h2 id="{escape(anchor)}">{escape(text)}</h2>'


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f'<p>{escape(text)}</p>'


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table; numbers are aligned to the right and None is a dash."""
    lines = [''.join(f'<th>{escape(name)}</th>' for name in head)]
    lines += [''.join(_cell(value) for value in row) for row in rows]
    return '<table>\n' + '\n'.join(f'<tr>{line}</tr>' for line in lines) + '\n</table>'


def folded(summary: str, text: str) -> str:
    """Return a long text that a click unfolds."""
    return f'<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>'


def sheet(figures: Sequence[str]) -> str:
    """Return figures side by side, in as many rows as the window needs."""
    return '<div class="sheet">\n' + '\n'.join(figures) + '\n</div>'


def figure(picture: np.ndarray | bytes, caption: Sequence[str], *, alt: str) -> str:
    """Return a picture with lines of text below.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB, stored as JPEG; or the content of a PNG file.
        caption: lines of text.
        alt: text for those who do not see the picture.
    """
    kind, data = ('png', picture) if isinstance(picture, bytes) else ('jpeg', _jpeg(picture))
    source = f'data:image/{kind};base64,{base64.b64encode(data).decode("ascii")}'
    lines = '<br>'.join(escape(line) for line in caption)
    text = f'<figcaption>{lines}</figcaption>' if lines else ''
    return f'<figure><img src="{source}" alt="{escape(alt)}">{text}</figure>'


def page(title: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """Return a whole page.

    Args:
        title: title of the page.
        sections: per section its anchor, its heading and its HTML.
    """
    links = ' '.join(f'<a href="#{escape(a)}">{escape(name)}</a>' for a, name, _ in sections)
    parts = '\n'.join(f'{heading(name, anchor=a)}\n{body}' for a, name, body in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        f'<h1>{escape(title)}</h1>\n<nav>{links}</nav>\n{parts}\n</body>\n</html>\n'
    )


def _cell(value: object) -> str:
    if value is None:
        return '<td class="number">-</td>'
    if isinstance(value, int | float):
        text = str(value) if isinstance(value, int) else f'{value:.4g}'
        return f'<td class="number">{text}</td>'
    return f'<td>{escape(str(value))}</td>'


def _jpeg(image: np.ndarray) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, 88]
    ok, data = cv2.imencode('.jpg', cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert ok, f'cannot encode an image of shape {image.shape}'
    return data.tobytes()
