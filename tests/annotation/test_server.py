import http.client
import json
import socket
import threading

import pytest
from PIL import Image

from mmp2seg.annotation.mask_worker import MaskWorker
from mmp2seg.annotation.pictures import Pictures
from mmp2seg.annotation.point_store import PointStore
from mmp2seg.annotation.server import AnnotationServer

NAMES = ('a.png', 'b.png', 'c.png')
JSON = {'Content-Type': 'application/json'}


def predict(name, points):
    return dict(masks=[dict(point=0, score=1.0, path='M0 0Z')], dropped=[])


@pytest.fixture
def server(tmp_path):
    Image.new('RGB', (60, 40), 'red').save(tmp_path / 'a.png')
    (tmp_path / 'b.png').write_text('no image')
    store = PointStore(tmp_path / 'points.json', NAMES, ['cat', 'dog'])
    server = AnnotationServer(store, Pictures(tmp_path), MaskWorker(lambda: predict))
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    server.worker.close()
    thread.join()


def ask(server, path, *, method='GET', body=None, headers=None, host=None):
    """Return status, headers and body; json is parsed."""
    connection = http.client.HTTPConnection('127.0.0.1', server.server_address[1], timeout=20)
    headers = dict(headers or {})
    if host is not None:
        headers['Host'] = host
    if body is not None and not isinstance(body, bytes):
        body, headers = json.dumps(body).encode(), JSON | headers
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    data = response.read()
    connection.close()
    if response.headers.get_content_type() == 'application/json':
        data = json.loads(data)
    return response.status, response.headers, data


def put(server, *points, revision=None, path='/api/images/0', **options):
    if revision is None:
        revision = ask(server, '/api/images/0')[2]['revision']
    body = dict(points=points, revision=revision, empty=False)
    return ask(server, path, method='PUT', body=body, **options)


CAT = dict(x=10.5, y=20.5, label='cat', id=None)


def test_the_page(server):
    for path, kind in (('/', 'html'), ('/page.js', 'javascript'), ('/page.css?x=1', 'css')):
        status, headers, data = ask(server, path)
        assert status == 200 and headers.get_content_subtype() == kind and data
        assert headers['Content-Security-Policy'].startswith("default-src 'self';")
    assert b'http' not in ask(server, '/page.js')[2].replace(b'http://www.w3.org/2000/svg', b'')


def test_session_image_and_pixels(server, tmp_path):
    session = ask(server, '/api/session')[2]
    assert session['names'] == list(NAMES) and session['counts'] == [0, 0, 0]
    assert [entry['name'] for entry in session['classes']] == ['cat', 'dog']
    assert all(len(entry['color']) == 7 for entry in session['classes'])
    assert session['folder'] == str(tmp_path)
    image = ask(server, '/api/images/0')[2]
    assert (image['width'], image['height'], image['points']) == (60, 40, [])
    status, headers, data = ask(server, f'/api/images/0/pixels?version={image["version"]}')
    assert status == 200 and headers['Content-Type'] == 'image/png' and data[1:4] == b'PNG'
    assert 'max-age' in headers['Cache-Control']
    assert ask(server, '/api/images/0/pixels?version=old')[1]['Cache-Control'] == 'no-store'


def test_points_are_saved(server):
    status, _, saved = put(server, CAT)
    assert status == 200 and saved['points'] == [CAT | dict(id=1)]
    assert ask(server, '/api/images/0')[2]['points'] == saved['points']
    assert ask(server, '/api/session')[2]['counts'] == [1, 0, 0]
    body = dict(points=[], revision=saved['revision'], empty=True)
    assert ask(server, '/api/images/0', method='PUT', body=body)[2]['empty'] is True
    assert ask(server, '/api/session')[2]['counts'] == [-1, 0, 0]


def test_stale_points_are_a_conflict(server):
    before = ask(server, '/api/images/0')[2]['revision']
    _, _, saved = put(server, CAT)
    status, _, answer = put(server, revision=before)
    assert status == 409 and answer['current'] == saved
    assert 'another tab' in answer['message']
    server.store.path.write_text('theirs')
    status, _, answer = put(server)
    assert status == 409 and 'current' not in answer and 'another program' in answer['message']


def test_masks(server):
    revision = put(server, CAT)[2]['revision']
    path = '/api/images/0/masks?revision='
    answer = ask(server, path + revision)[2]
    assert answer == dict(status='ready', **predict('', ()))
    assert ask(server, f'{path}{revision}&now=1')[2] == answer
    other = put(server)[2]['revision']
    assert ask(server, f'{path}{other}&now=1')[2]['status'] in ('pending', 'ready')
    assert ask(server, path + revision)[2] == dict(status='stale')
    revision = other
    assert ask(server, path + 'old')[2] == dict(status='stale')
    worker, server.worker = server.worker, None
    assert ask(server, path + revision)[2]['status'] == 'none'
    server.worker = worker


def test_images_that_cannot_be_shown(server, tmp_path):
    status, _, answer = ask(server, '/api/images/1')
    assert status == 422 and 'b.png: expected an image' in answer['message']
    assert ask(server, '/api/images/1/pixels')[0] == 422
    assert put(server, path='/api/images/1')[0] == 422
    status, _, answer = ask(server, '/api/images/2')
    assert status == 404 and 'c.png: no such file' in answer['message']
    put(server, CAT)
    Image.new('RGB', (40, 60)).save(tmp_path / 'a.png')
    status, _, answer = ask(server, '/api/images/0')
    assert status == 422
    assert 'expected 60 x 40 pixels in a.png, got 40 x 60' in answer['message']


@pytest.mark.parametrize('host', ['evil.example', 'evil.example:80', '127.0.0.1.evil.example', ''])
def test_other_hosts_are_refused(server, host):
    """Also for reading: a page of that host could read the images."""
    for path in ('/', '/api/session', '/api/images/0/pixels'):
        assert ask(server, path, host=host)[0] == 403
    status, _, answer = put(server, CAT, host=host)
    assert status == 403 and 'expected the host' in answer['message']
    assert not server.store.path.exists()


@pytest.mark.parametrize('host', ['localhost', 'localhost:9000', '127.0.0.1:1'])
def test_forwarded_ports_are_this_machine(server, host):
    assert ask(server, '/api/session', host=host)[0] == 200
    assert put(server, CAT, host=host, headers=dict(Origin=f'http://{host}'))[0] == 200


def test_changes_from_other_origins_are_refused(server):
    port = server.server_address[1]
    for origin in (
        'http://evil.example',
        'null',
        f'http://127.0.0.1:{port + 1}',
        f'https://127.0.0.1:{port}',
    ):
        status, _, answer = put(server, CAT, headers=dict(Origin=origin))
        assert status == 403 and 'expected the origin' in answer['message']
    assert not server.store.path.exists()
    body = json.dumps(dict(points=[CAT], revision=ask(server, '/api/images/0')[2]['revision']))
    for kind in ({}, {'Content-Type': 'text/plain'}):
        answer = ask(server, '/api/images/0', method='PUT', body=body.encode(), headers=kind)
        assert answer[0] == 415
    assert not server.store.path.exists()
    assert put(server, CAT, headers=dict(Origin=f'http://127.0.0.1:{port}'))[0] == 200


@pytest.mark.parametrize(
    ('body', 'message'),
    [
        (b'{', 'request: invalid json'),
        (b'\xff', 'utf-8'),
        ([], 'expected points and a revision'),
        (dict(points=[]), 'expected points and a revision'),
        (dict(points=3, revision='x'), 'expected a list of points'),
    ],
)
def test_broken_requests(server, body, message):
    status, _, answer = ask(server, '/api/images/0', method='PUT', body=body, headers=JSON)
    assert status == 400 and message in answer['message']


def test_points_that_cannot_be_used(server):
    status, _, answer = put(server, CAT | dict(x=60.5))
    assert status == 400 and 'outside of a.png' in answer['message']
    assert not server.store.path.exists()


@pytest.mark.parametrize(
    'path',
    ['/x', '/page/../page.js', '/../setup.py', '/api/images/3', '/api/images/-1', '/api/images/0/x',
     '/api/images/x', '/api/images/0/pixels/x', '/api/images/%2e%2e/x', '/api/images/'],
)  # fmt: skip
def test_other_addresses(server, path):
    assert ask(server, path)[0] == 404
    assert put(server, CAT, path=path)[0] == 404


def test_other_methods_and_large_bodies(server):
    assert ask(server, '/api/images/0', method='DELETE')[0] == 501
    assert ask(server, '/api/session', method='POST', body={})[0] == 501
    headers = JSON | {'Content-Length': str(1 << 30)}
    connection = http.client.HTTPConnection('127.0.0.1', server.server_address[1], timeout=20)
    connection.putrequest('PUT', '/api/images/0')
    for key, value in headers.items():
        connection.putheader(key, value)
    connection.endheaders()
    assert connection.getresponse().status == 413


def test_a_mistake_of_the_program_is_an_answer(server, monkeypatch, capsys):
    monkeypatch.setattr(server.store, 'counts', lambda: 1 / 0)
    status, _, answer = ask(server, '/api/session')
    assert status == 500 and answer['message'] == 'ZeroDivisionError: division by zero'
    assert 'Traceback' in capsys.readouterr().err


def test_it_listens_on_this_machine_alone_and_ends_its_connections(server, tmp_path):
    assert server.server_address[0] == '127.0.0.1'
    with pytest.raises(OSError, match='in use'):
        AnnotationServer(server.store, Pictures(tmp_path), port=server.server_address[1])
    with socket.create_connection(server.server_address, timeout=10) as connection:
        connection.sendall(b'GET /page.css HTTP/1.1\r\nHost: localhost\r\n\r\n')
        assert connection.recv(15) == b'HTTP/1.1 200 OK'
        server.shutdown()
        server.server_close()
        while connection.recv(1 << 16):
            pass
