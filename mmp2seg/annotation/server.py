"""The server of the page, for the browser of this machine alone.

It listens on 127.0.0.1. A request whose ``Host`` is another name is refused: such a name points to
this address only in an attack (DNS rebinding). So is a change that comes from a page of another
origin. The page needs nothing from the network, and its policy forbids it.

======  =========================  ==========================================================
method  path                       answer
======  =========================  ==========================================================
GET     /                          the page
GET     /api/session               names of images and classes, numbers of points
GET     /api/images/I              size and points of the image at place I
GET     /api/images/I/pixels       a PNG or JPEG of it
GET     /api/images/I/masks        masks of its points; waits for them
PUT     /api/images/I              save its points
======  =========================  ==========================================================
"""

import contextlib
import json
import socket
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mmp2seg.annotation.mask_worker import MaskWorker
from mmp2seg.annotation.pictures import Picture, Pictures
from mmp2seg.annotation.point_store import (
    FileChangedError,
    ImagePoints,
    PointStore,
    StaleRevisionError,
    parse_points,
)
from mmp2seg.datasets.coco_content import BACKGROUND
from mmp2seg.files.json_reading import parse_json
from mmp2seg.visualization.colors import distinct_colors

ADDRESS = '127.0.0.1'
_HOSTS = (ADDRESS, 'localhost')
_PAGE = {
    '/': ('index.html', 'text/html; charset=utf-8'),
    '/page.js': ('page.js', 'text/javascript; charset=utf-8'),
    '/page.css': ('page.css', 'text/css; charset=utf-8'),
}
_HEADERS = {
    'Content-Security-Policy': "default-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; form-action 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
}
_LARGEST_BODY = 1 << 24  # bytes
_WAIT = 20.0  # seconds that a request for masks waits


class RequestError(Exception):
    """A request that is answered with a status and a message."""

    def __init__(self, status: HTTPStatus, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = dict(message=message, **more)


class AnnotationServer(ThreadingHTTPServer):
    """Serve the page; ``serve_forever`` and ``shutdown`` are those of the standard library.

    Args:
        store: the points.
        pictures: the images.
        worker: the masks. None: there are none; it can be set later.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        store: PointStore,
        pictures: Pictures,
        worker: MaskWorker | None = None,
        *,
        port: int = 0,
    ) -> None:
        self.store, self.pictures, self.worker = store, pictures, worker
        self._connections: set[socket.socket] = set()
        super().__init__((ADDRESS, port), _Handler)

    @property
    def url(self) -> str:
        """Address of the page."""
        return f'http://{ADDRESS}:{self.server_address[1]}/'

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer the requests of a new connection in a thread."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening and end the connections, which a browser keeps open."""
        super().server_close()
        for connection in tuple(self._connections):
            with contextlib.suppress(OSError):  # it ended meanwhile
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of a failed request, unless the browser closed its connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def session(self) -> dict[str, Any]:
        """Return what the page needs once."""
        classes = self.store.classes
        colors = ['#{:02x}{:02x}{:02x}'.format(*rgb) for rgb in distinct_colors(len(classes))]
        return dict(
            folder=str(self.pictures.folder),
            file=str(self.store.path),
            classes=[dict(name=n, color=c) for n, c in zip(classes, colors, strict=True)],
            background=BACKGROUND,
            names=self.store.names,
            counts=self.store.counts(),
        )

    def picture(self, name: str) -> Picture:
        """Return the pixels of an image.

        Raises:
            RequestError: it cannot be read.
        """
        try:
            return self.pictures.get(name)
        except FileNotFoundError as error:
            raise RequestError(HTTPStatus.NOT_FOUND, str(error)) from error
        except (OSError, ValueError) as error:
            raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error

    def image(self, name: str) -> dict[str, Any]:
        """Return the size and the points of an image.

        Raises:
            RequestError: it cannot be read, or the points file states another size.
        """
        picture = self.picture(name)
        (height, width), stated = picture.size, self.store.size(name)
        if stated not in (None, picture.size):
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f'{self.store.path}: expected {stated[1]} x {stated[0]} pixels in {name}, got '
                f'{width} x {height}: its points would be at other places',
            )
        points = _points_json(self.store.points(name))
        return dict(name=name, width=width, height=height, version=picture.version, **points)

    def save(self, name: str, body: Any) -> dict[str, Any]:
        """Save the points of an image, and return their ids and the new revision.

        Raises:
            RequestError: 400: a point cannot be used; 409: the points were changed meanwhile; 500:
                the file cannot be written. Nothing is saved then.
        """
        picture = self.picture(name)
        try:
            if not isinstance(body, dict) or not isinstance(body.get('revision'), str):
                raise ValueError(f'expected points and a revision, got {body!r:.60}')
            saved = self.store.save(
                name,
                parse_points(body.get('points')),
                size=picture.size,
                revision=body['revision'],
                is_empty=body.get('empty') is True,
            )
        except StaleRevisionError as error:
            current = _points_json(error.current)
            raise RequestError(HTTPStatus.CONFLICT, str(error), current=current) from error
        except FileChangedError as error:
            raise RequestError(HTTPStatus.CONFLICT, str(error)) from error
        except ValueError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
        except OSError as error:
            raise RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, str(error)) from error
        return _points_json(saved)

    def masks(self, name: str, revision: str, *, timeout: float) -> dict[str, Any]:
        """Return the masks of an image, see :meth:`MaskWorker.result`."""
        if self.worker is None:
            return dict(status='none', message='masks are switched off')
        points = self.store.points(name)
        if points.revision != revision:
            return dict(status='stale')
        return self.worker.result(name, points, timeout=timeout)


def _points_json(state: ImagePoints) -> dict[str, Any]:
    points = [dict(x=p.x, y=p.y, label=p.label, id=p.point_id) for p in state.points]
    return dict(points=points, empty=state.is_empty, revision=state.revision)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'  # keeps the connection
    timeout = 120  # of a connection without requests
    server: AnnotationServer

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def log_message(self, format: str, *args: Any) -> None:
        """Do not print each request."""

    def _answer(self, find: Callable[[], tuple[bytes, str, dict[str, str]]]) -> None:
        status, more = HTTPStatus.OK, {}
        try:
            self._check_origin()
            data, mime, more = find()
        except RequestError as error:
            status, (data, mime, _) = error.status, _json(error.body)
        except ConnectionError:
            raise
        except Exception as error:  # the page says it and goes on
            traceback.print_exception(error)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            data, mime, _ = _json(dict(message=f'{type(error).__name__}: {error}'))
        if status != HTTPStatus.OK:
            self.close_connection = True  # the body may not have been read
        self.send_response(status)
        headers = {'Content-Type': mime, 'Content-Length': str(len(data)), **_HEADERS}
        for key, value in ({'Cache-Control': 'no-store'} | headers | more).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def _check_origin(self) -> None:
        host = self.headers.get('Host', '')
        # another port is fine: ssh -L can forward one
        if host.rpartition(':')[0] not in _HOSTS and host not in _HOSTS:
            raise RequestError(
                HTTPStatus.FORBIDDEN, f'expected the host {" or ".join(_HOSTS)}, got {host!r:.60}'
            )
        origin = self.headers.get('Origin')
        if origin is not None and origin != f'http://{host}':
            raise RequestError(
                HTTPStatus.FORBIDDEN, f'expected the origin http://{host}, got {origin!r:.60}'
            )

    def _get(self) -> tuple[bytes, str, dict[str, str]]:
        parts = urlsplit(self.path)
        if parts.path in _PAGE:
            name, mime = _PAGE[parts.path]
            return (files('mmp2seg.annotation') / 'page' / name).read_bytes(), mime, {}
        if parts.path == '/api/session':
            return _json(self.server.session())
        name, what = self._image(parts.path)
        if what == 'pixels':
            picture = self.server.picture(name)
            # its address has the version of the file
            is_current = parse_qs(parts.query).get('version') == [picture.version]
            cache = {'Cache-Control': 'private, max-age=3600'} if is_current else {}
            return picture.data, picture.mime, cache
        if what == 'masks':
            query = parse_qs(parts.query)
            revision, timeout = query.get('revision', [''])[0], 0.0 if 'now' in query else _WAIT
            return _json(self.server.masks(name, revision, timeout=timeout))
        return _json(self.server.image(name))

    def _put(self) -> tuple[bytes, str, dict[str, str]]:
        name, what = self._image(self.path)
        if what:
            raise RequestError(HTTPStatus.NOT_FOUND, f'{self.path}: no such address')
        # a form of another page cannot send this type, also by a browser that sends no Origin
        if self.headers.get_content_type() != 'application/json':
            raise RequestError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 'expected application/json')
        length = self.headers.get('Content-Length', '')
        if not length.isdecimal() or int(length) > _LARGEST_BODY:
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f'expected a Content-Length up to {_LARGEST_BODY}, got {length!r:.60}',
            )
        try:
            body = parse_json(self.rfile.read(int(length)).decode(), 'request')
        except ValueError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, str(error)) from error
        return _json(self.server.save(name, body))

    def _image(self, path: str) -> tuple[str, str]:
        """Return the name of the image of a path, and what of it is wanted."""
        names, parts = self.server.store.names, path.split('/')
        with contextlib.suppress(ValueError, IndexError):
            if parts[:3] == ['', 'api', 'images'] and parts[4:] in ([], ['pixels'], ['masks']):
                if not parts[3].isdecimal():
                    raise ValueError
                return names[int(parts[3])], ''.join(parts[4:])
        raise RequestError(HTTPStatus.NOT_FOUND, f'{path}: no such address')


def _json(value: Any) -> tuple[bytes, str, dict[str, str]]:
    return json.dumps(value, allow_nan=False).encode(), 'application/json', {}
