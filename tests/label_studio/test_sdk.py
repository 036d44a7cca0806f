import base64
import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest

from mmp2seg.label_studio import sdk
from mmp2seg.label_studio.label_config import example_label_config, read_label_config

from .task_examples import CONFIG, TAGS

needs_sdk = pytest.mark.skipif(
    importlib.util.find_spec('label_studio_sdk') is None, reason='label-studio-sdk is missing'
)


def test_a_missing_sdk_is_named(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install 'label-studio-sdk>="):
        sdk.require_sdk()


@needs_sdk
def test_the_config_of_the_other_tests_is_what_the_sdk_makes():
    sdk.require_sdk()
    assert sdk.parse_config(CONFIG) == TAGS


@needs_sdk
def test_the_example_is_usable_and_keeps_names():
    names = ('cat', 'a & "b"', "d'<e>")
    assert read_label_config(sdk.parse_config(example_label_config(names))).labels == names


@needs_sdk
@pytest.mark.parametrize('text', ['<View>', 'text', '<View><Image name="a" value="$a"/>'])
def test_a_broken_config(text):
    with pytest.raises(ValueError, match='^expected a labelling config, got '):
        sdk.parse_config(text)


@needs_sdk
def test_no_entities_of_files(tmp_path):
    (tmp_path / 'secret').write_text('secret')
    text = (
        f'<!DOCTYPE a [<!ENTITY x SYSTEM "{(tmp_path / "secret").as_uri()}">]>'
        '<View><Image name="image" value="$a"/><BrushLabels name="m" toName="image">'
        '<Label value="b">&x;</Label></BrushLabels></View>'
    )
    try:
        assert 'secret' not in repr(sdk.parse_config(text))
    except ValueError as error:
        assert 'secret"' not in str(error)


@needs_sdk
def test_long_runs(monkeypatch):
    from label_studio_sdk.converter import brush

    mask = np.zeros((301, 401), bool)  # longer than 2 ** 16 values
    mask[150:] = True
    assert (
        brush.decode_rle(sdk.encode_brush(mask)).reshape(301, 401, 4)[..., 3] == 255 * mask
    ).all()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get('Authorization')))
        self.send_response(200 if 'good' in self.path else 404)
        self.end_headers()
        self.wfile.write(b'image')

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.server.seen.append((self.path, body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"access": "short"}')

    def log_message(self, *args):
        pass


@pytest.fixture
def label_studio(monkeypatch):
    server = HTTPServer(('127.0.0.1', 0), Handler)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02))
    thread.start()
    monkeypatch.setenv('LABEL_STUDIO_URL', f'http://127.0.0.1:{server.server_port}')
    monkeypatch.setenv('LABEL_STUDIO_API_KEY', 'key')
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@needs_sdk
@pytest.mark.parametrize(
    ('url', 'path'),
    [
        ('/data/upload/1/good.png', '/storage-data/uploaded/?filepath=upload/1/good.png'),
        ('/data/local-files/?d=a/good.png', '/data/local-files/?d=a/good.png'),
    ],
)
def test_files_of_label_studio_are_fetched_with_the_key(label_studio, tmp_path, url, path):
    assert sdk.fetch(url, tmp_path, task_id=1).read_bytes() == b'image'
    assert label_studio.seen == [(path, 'Token key')]
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b'image']


@needs_sdk
def test_a_personal_access_token_is_exchanged(label_studio, tmp_path, monkeypatch):
    parts = (dict(alg='HS256', typ='JWT'), dict(token_type='refresh', exp=1 << 40), 'signature')
    token = '.'.join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip('=') for part in parts
    )
    monkeypatch.setenv('LABEL_STUDIO_API_KEY', token)
    sdk.fetch('/data/local-files/?d=good.png', tmp_path, task_id=1)
    (path, body), (_, sent) = label_studio.seen
    assert (path, body) == ('/api/token/refresh/', dict(refresh=token))
    assert sent == 'Token short'  # 'Bearer' if Label Studio answers with another such token


@needs_sdk
def test_the_key_goes_to_no_other_host(label_studio, tmp_path, monkeypatch):
    monkeypatch.setenv('LABEL_STUDIO_URL', f'http://localhost:{label_studio.server_port}')
    sdk.fetch(f'http://127.0.0.1:{label_studio.server_port}/good.png', tmp_path, task_id=1)
    assert label_studio.seen == [('/good.png', None)]


@needs_sdk
def test_a_download_has_a_time_limit(label_studio, tmp_path, monkeypatch):
    import requests

    limits = []
    request = requests.Session.request
    monkeypatch.setattr(
        requests.Session,
        'request',
        lambda *args, **kwargs: limits.append(kwargs['timeout']) or request(*args, **kwargs),
    )
    with pytest.raises(OSError, match='404'):
        sdk.fetch('/data/upload/1/bad.png', tmp_path, task_id=1)
    assert len(limits) == 2 and set(limits) == {(5.0, 30.0)}  # the SDK tries two addresses


@needs_sdk
def test_without_a_server_the_error_says_which_variable(tmp_path, monkeypatch):
    for name in ('LABEL_STUDIO_URL', 'LABEL_STUDIO_HOST'):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OSError, match='LABEL_STUDIO_URL'):
        sdk.fetch('/data/upload/1/a.png', tmp_path, task_id=1)
