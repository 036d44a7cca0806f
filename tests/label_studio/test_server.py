import base64
import http.client
import json
import socket
import threading

import pytest

from mmp2seg.label_studio.backend import TaskError
from mmp2seg.label_studio.server import LabelStudioServer

from .task_examples import CONFIG, predict_body


class Backend:
    """Answers at once, or waits until ``go`` is set."""

    version = 'mmp2seg test'

    def __init__(self):
        self.asked, self.go, self.error = threading.Event(), threading.Event(), None
        self.go.set()

    def check(self, label_config):
        if label_config != CONFIG:
            raise ValueError(f'labelling config: expected “tags”,\ngot {label_config!r}')

    def predict(self, body):
        self.asked.set()
        self.go.wait(20)
        if self.error is not None:
            raise self.error
        return dict(results=[len(body['tasks'])], model_version=self.version)


@pytest.fixture
def server(request):
    server = LabelStudioServer(login=getattr(request, 'param', None))
    server.backend = Backend()
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.02))
    thread.start()
    yield server
    server.backend.go.set()
    server.shutdown()
    server.server_close()
    thread.join()


def ask(server, path, body=None, *, method=None, headers=None):
    """Return status, reason and json."""
    connection = http.client.HTTPConnection('127.0.0.1', server.server_address[1], timeout=20)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    connection.request(method or ('GET' if body is None else 'POST'), path, body, headers or {})
    response = connection.getresponse()
    data = response.read()
    connection.close()
    return response.status, response.reason, json.loads(data)


def test_the_paths_of_the_protocol(server):
    for path in ('/', '/health', '/health/'):
        status, _, found = ask(server, path)
        assert (
            status == 200 and found['status'] == 'UP' and found['model_version'] == 'mmp2seg test'
        )
    assert ask(server, '/versions?project=1')[2] == dict(versions=['mmp2seg test'])
    assert ask(server, '/metrics')[2] == {}
    setup = dict(project='1.17', schema=CONFIG, hostname='', access_token='t', extra_params=None)
    assert ask(server, '/setup', setup)[::2] == (200, dict(model_version='mmp2seg test'))
    assert ask(server, '/predict', predict_body({}, {}))[2]['results'] == [2]
    for path, body in (('/webhook', dict(action='START_TRAINING', project={})), ('/train', {})):
        status, _, found = ask(server, path, body)
        assert status == 200 and found['status'] == 'ignored' and not found.get('job')
    assert server.url == f'http://127.0.0.1:{server.server_address[1]}'


def test_an_error_is_in_the_status_line_that_label_studio_shows(server):
    status, reason, found = ask(server, '/setup', dict(schema='<View/>'))
    assert (status, reason) == (422, "labelling config: expected ?tags?, got '<View/>'")
    assert found['error'].startswith('labelling config: expected “tags”')
    server.backend.error = TaskError('task 1: ' + 'x' * 1000)
    status, reason, found = ask(server, '/predict', predict_body({}))
    assert status == 422 and len(reason) == 400 and len(found['error']) == 1008


def test_a_bug_does_not_end_the_server(server, capsys):
    server.backend.error = KeyError('x')
    status, reason, _ = ask(server, '/predict', predict_body({}))
    assert status == 500 and 'KeyError' in reason
    assert 'Traceback' in capsys.readouterr().err
    assert ask(server, '/health')[0] == 200


@pytest.mark.parametrize(
    ('path', 'body', 'more', 'status'),
    [
        ('/nowhere', None, {}, 404),
        ('/predict', None, {}, 404),  # GET
        ('/health', {}, {}, 404),  # POST
        ('/delete', {}, {}, 404),
        ('/predict', b'text', {}, 422),
        ('/predict', b'\xff\xff', {}, 422),
        ('/predict', b'{"a": NaN}', {}, 422),
        ('/setup', [], {}, 422),
        ('/predict', b'', {'Content-Length': 'x'}, 411),
        ('/predict', b'', {'Content-Length': str(1 << 30)}, 413),
        ('/predict', b'', {'Content-Length': '-1'}, 413),
        ('/predict', {}, {'Origin': 'http://evil.example'}, 403),
        ('/health', None, {'Origin': 'http://127.0.0.1:9090'}, 403),
    ],
)
def test_requests_that_are_refused(server, path, body, more, status):
    found = ask(server, path, body, headers=more)
    assert found[0] == status and found[2]['error']
    assert not server.backend.asked.is_set()


def test_health_while_masks_are_computed(server):
    server.backend.go.clear()
    found = []
    thread = threading.Thread(
        target=lambda: found.append(ask(server, '/predict', predict_body({})))
    )
    thread.start()
    assert server.backend.asked.wait(20)
    assert ask(server, '/health')[0] == 200 and found == []
    server.backend.go.set()
    thread.join()
    assert found[0][0] == 200


@pytest.mark.parametrize('server', [('user', 'pä:ss')], indirect=True)
def test_basic_authentication(server):
    def login(text):
        return {'Authorization': 'Basic ' + base64.b64encode(text.encode()).decode()}

    assert ask(server, '/health', headers=login('user:pä:ss'))[0] == 200
    for headers in ({}, login('user:no'), {'Authorization': 'Basic x'}):
        assert ask(server, '/predict', predict_body({}), headers=headers)[0] == 401
    assert not server.backend.asked.is_set()


def test_a_client_that_leaves_prints_nothing(server, capsys):
    server.backend.go.clear()
    connection = socket.create_connection(server.server_address)
    body = json.dumps(predict_body({})).encode()
    connection.sendall(b'POST /predict HTTP/1.0\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
    assert server.backend.asked.wait(20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\x01\0\0\0\0\0\0\0')
    connection.close()
    server.backend.go.set()
    assert ask(server, '/health')[0] == 200
    assert capsys.readouterr().err == ''


def test_a_port_that_is_taken(server):
    with pytest.raises(OSError):
        LabelStudioServer(port=server.server_address[1])
