"""The server that Label Studio connects to as an ML backend.

The requests and the answers are those of label-studio-ml 2
(https://github.com/HumanSignal/label-studio-ml-backend, label_studio_ml/api.py).

======  ================  ==========================================================
method  path              answer
======  ================  ==========================================================
GET     /, /health        that the backend is there; also while masks are computed
GET     /versions         the version of the model
GET     /metrics          none
POST    /setup            check a project's labelling config; the version of the model
POST    /predict          masks of the keypoints of tasks
POST    /webhook, /train  nothing: the backend does not train
======  ================  ==========================================================

An error is a status with the message as json and as the reason of the status line, because Label
Studio shows the status line alone. Label Studio is no browser: a request that a page sends, which
has an ``Origin``, is refused.
"""

import base64
import hmac
import json
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from mmp2seg.apis.command_errors import bug_line
from mmp2seg.files.json_reading import parse_json
from mmp2seg.files.text_reading import decode_text
from mmp2seg.label_studio.backend import LabelStudioBackend

ADDRESS = '127.0.0.1'
_LARGEST_BODY = 1 << 28  # bytes; tasks bring the brush masks of their annotations
_LONGEST_REASON = 400


class RequestError(Exception):
    """A request that is answered with a status and a message."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class LabelStudioServer(ThreadingHTTPServer):
    """Serve a backend; ``serve_forever`` and ``shutdown`` are those of the standard library.

    The address is taken at once, and requests wait until ``serve_forever``.

    Args:
        host: address to listen on.
        port: 0 takes a free one.
        login: user and password that Label Studio must send (basic authentication). None: none.

    Raises:
        OSError: the address cannot be used.
    """

    daemon_threads = True
    block_on_close = False
    backend: LabelStudioBackend

    def __init__(
        self, host: str = ADDRESS, port: int = 0, *, login: tuple[str, str] | None = None
    ) -> None:
        self.login = None
        if login is not None:
            self.login = b'Basic ' + base64.b64encode(':'.join(login).encode())
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Address for Label Studio on this machine."""
        host, port = self.server_address[:2]
        return f'http://{host}:{port}'

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of a failed request, unless the other side closed its connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = 120  # of a connection that sends nothing
    server: LabelStudioServer

    def do_GET(self) -> None:
        self._answer(
            {
                '/': self._health,
                '/health': self._health,
                '/versions': lambda: dict(versions=[self.server.backend.version]),
                '/metrics': dict,
            }
        )

    def do_POST(self) -> None:
        self._answer(
            {
                '/setup': self._setup,
                '/predict': lambda: self.server.backend.predict(self._body()),
                '/webhook': self._ignore,
                '/train': self._ignore,
            }
        )

    def log_message(self, format: str, *args: Any) -> None:
        """Do not print each request."""

    def _answer(self, routes: dict[str, Callable[[], Any]]) -> None:
        status, reason = HTTPStatus.OK, None
        try:
            self._check_sender()
            route = routes.get(urlsplit(self.path).path.rstrip('/') or '/')
            if route is None:
                raise RequestError(HTTPStatus.NOT_FOUND, f'no such address: {self.path:.60}')
            content = route()
        except ConnectionError:
            raise
        except Exception as error:
            status, reason = HTTPStatus.INTERNAL_SERVER_ERROR, bug_line(error)
            if isinstance(error, RequestError):
                status, reason = error.status, str(error)
            elif isinstance(error, ValueError):  # of the backend: it says what to mend
                status, reason = HTTPStatus.UNPROCESSABLE_ENTITY, str(error)
            else:
                traceback.print_exception(error)
            content = dict(error=reason)
        data = json.dumps(content).encode()
        self.send_response(status, None if reason is None else _status_line(reason))
        if status == HTTPStatus.UNAUTHORIZED:
            self.send_header('WWW-Authenticate', 'Basic realm="mmp2seg"')
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _check_sender(self) -> None:
        if self.headers.get('Origin') is not None:
            raise RequestError(
                HTTPStatus.FORBIDDEN, 'expected a request of Label Studio, got one of a page'
            )
        login, sent = self.server.login, self.headers.get('Authorization', '')
        if login is not None and not hmac.compare_digest(sent.encode(), login):
            raise RequestError(HTTPStatus.UNAUTHORIZED, 'expected a user and a password')

    def _body(self) -> Any:
        try:
            length = int(self.headers.get('Content-Length', ''))
        except ValueError:
            raise RequestError(HTTPStatus.LENGTH_REQUIRED, 'expected a Content-Length') from None
        if not 0 <= length <= _LARGEST_BODY:
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f'expected at most {_LARGEST_BODY >> 20} MiB, got {length >> 20} MiB',
            )
        data = self.rfile.read(length)
        return parse_json(decode_text(data, where='request'), 'request')

    def _health(self) -> dict[str, str]:
        return dict(
            status='UP',
            model_class=type(self.server.backend).__name__,
            model_version=self.server.backend.version,
        )

    def _setup(self) -> dict[str, str]:
        body = self._body()
        self.server.backend.check(body.get('schema') if isinstance(body, dict) else body)
        return dict(model_version=self.server.backend.version)

    def _ignore(self) -> dict[str, str]:
        self._body()
        return dict(status='ignored', message='this backend does not train')


def _status_line(reason: str) -> str:
    """Return a message that a status line can hold: one line of Latin letters."""
    line = ' '.join(reason.split()).encode('ascii', 'replace').decode()
    return ''.join(c if c.isprintable() else '?' for c in line)[:_LONGEST_REASON]
