import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from mmp2seg.analysis.report import html_parts as html

EVIL = '<b onclick="x">&\''


class Reader(HTMLParser):
    """Collects tags and text, and checks that tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.open = [], '', []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ('meta', 'img', 'br'):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_all_text_is_escaped():
    parts = [
        html.heading(EVIL, anchor=EVIL),
        html.paragraph(EVIL),
        html.table([EVIL], [[EVIL]]),
        html.folded(EVIL, EVIL),
        html.sheet([html.figure(np.zeros((2, 2, 3), np.uint8), [EVIL, EVIL], alt=EVIL)]),
    ]
    reader = read(html.page(EVIL, [(EVIL, EVIL, '\n'.join(parts))]))
    assert not any(tag == 'b' for tag, _ in reader.tags)
    assert not any('onclick' in attributes for _, attributes in reader.tags)
    # title twice, link, heading; the parts 1, 1, 2, 2, 2
    assert reader.text.count(EVIL) == 4 + 8


def test_numbers_of_a_table():
    text = html.table(['a'], [[1, 0.123456, None, 'x', 123456]])
    assert re.findall(r'<td class="number">(.*?)</td>', text) == ['1', '0.1235', '-', '123456']
    assert '<td>x</td>' in text


def picture_of(figure):
    (source,) = re.findall(r'src="data:image/\w+;base64,([^"]+)"', figure)
    return Image.open(io.BytesIO(base64.b64decode(source)))


def test_pictures_are_part_of_the_page():
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 250
    picture = picture_of(html.figure(red, [], alt=''))
    assert picture.format == 'JPEG'
    assert np.abs(np.array(picture).astype(int)[0, 0] - [250, 0, 0]).max() < 8
    buffer = io.BytesIO()
    Image.fromarray(red).save(buffer, 'PNG')
    assert picture_of(html.figure(buffer.getvalue(), [], alt='')).format == 'PNG'


def test_the_browser_is_told_to_load_nothing():
    reader = read(html.page('x', [('a', 'First', '<p>y</p>')]))
    policies = [
        attributes['content']
        for tag, attributes in reader.tags
        if attributes.get('http-equiv') == 'Content-Security-Policy'
    ]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert [attributes['href'] for tag, attributes in reader.tags if tag == 'a'] == ['#a']
    assert ('h2', {'id': 'a'}) in reader.tags
