"""The image files of tasks: which may be read, and from where.

Whoever can write a task or send a request chooses the URL. Therefore nothing is read but

- files below the folder of ``--local-files-root``, for ``/data/local-files/?d=...``;
- what Label Studio itself serves: uploaded files, local files without such a folder, and cloud
  storage, of the server that ``LABEL_STUDIO_URL`` names;
- ``http`` and ``https`` addresses of that server and of the hosts of ``--allow-host``.
"""

import contextlib
import dataclasses
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from mmp2seg.files.text_reading import printable
from mmp2seg.label_studio.sdk import fetch, server_url

_CLOUD = ('s3', 'gs', 'azure-blob')
# paths that Label Studio serves; 'upload/...' is the key of an uploaded file
_SERVED = ('/data/', '/storage-data/', '/upload/', 'upload/')
_LOCAL_FILES = '/data/local-files'
_HOST = re.compile(r'[a-z0-9._-]+(:\d+)?|\[[0-9a-f:.]+\](:\d+)?')


@dataclasses.dataclass(frozen=True)
class ImageSource:
    """An image that may be read.

    Attributes:
        url: as in the task's data.
        path: its file, if it is one of this machine.
        version: changes when the file changes.
    """

    url: str
    path: Path | None = None
    version: tuple[int, ...] = ()


class TaskImages:
    """Find and fetch the images of tasks.

    Args:
        local_root: the folder that ``/data/local-files/`` stands for, as Label Studio's
            ``LOCAL_FILES_DOCUMENT_ROOT``. None: Label Studio is asked for such files.
        hosts: ``HOST`` or ``HOST:PORT`` of further servers that images are fetched from.
        fetch: see :func:`mmp2seg.label_studio.sdk.fetch`.

    Raises:
        NotADirectoryError: there is no such folder.
    """

    def __init__(
        self,
        *,
        local_root: str | Path | None = None,
        hosts: Iterable[str] = (),
        fetch: Callable[..., Path] = fetch,
    ) -> None:
        self._root = None if local_root is None else Path(local_root).resolve()
        if self._root is not None and not self._root.is_dir():
            raise NotADirectoryError(f'{local_root}: no such folder')
        self._hosts = {host.lower() for host in hosts}
        self._fetch = fetch

    def find(self, url: object) -> ImageSource:
        """Return the source of an image; nothing is fetched.

        Raises:
            FileNotFoundError: a local file is missing.
            ValueError: it is no address of an image that may be read.
        """
        if not isinstance(url, str) or not url:
            raise ValueError(f'expected the address of an image, got {url!r:.60}')
        if any(not character.isprintable() for character in url):
            raise ValueError(f'expected the address of an image, got {printable(url):.60}')
        try:
            parts = urlsplit(url)
            host, name = parts.netloc.lower(), parts.hostname
        except ValueError:  # such as http://[a
            raise ValueError(f'expected the address of an image, got {url:.60}') from None
        if host and not _HOST.fullmatch(host):  # parsers disagree on others: http://a\@b
            raise ValueError(f'expected the address of an image, got {url:.60}')
        if not parts.scheme and url.startswith(_SERVED) and '..' not in parts.path.split('/'):
            if self._root is not None and parts.path.rstrip('/') == _LOCAL_FILES:
                return self._local(url, parse_qs(parts.query).get('d', [''])[-1])
            return ImageSource(url)
        if parts.scheme in _CLOUD:
            return ImageSource(url)
        if parts.scheme not in ('http', 'https'):
            raise ValueError(
                f'expected an image of Label Studio, of a cloud storage or of http, got {url:.60}'
            )
        if host != _server() and not {host, name} & self._hosts:
            raise ValueError(
                f'{url:.100}: images of {host} are not fetched; --allow-host {host} permits it'
            )
        return ImageSource(url)

    @contextlib.contextmanager
    def file(self, source: ImageSource, *, task_id: int | None = None) -> Iterator[Path]:
        """Give the file of an image; a download is removed afterwards.

        Raises:
            OSError: it cannot be fetched.
        """
        if source.path is not None:
            yield source.path
            return
        with tempfile.TemporaryDirectory(prefix='mmp2seg_') as folder:
            try:
                path = self._fetch(source.url, Path(folder), task_id=task_id)
            except Exception as error:
                reason = str(error).strip() or type(error).__name__
                raise OSError(f'{source.url:.100}: {reason}') from error
            yield path

    def _local(self, url: str, name: str) -> ImageSource:
        assert self._root is not None
        try:
            path = (self._root / name.lstrip('/')).resolve()
        except (OSError, RuntimeError, ValueError):  # a loop of links, a NUL
            raise ValueError(f'expected the address of an image, got {url:.60}') from None
        if not path.is_relative_to(self._root):
            raise ValueError(f'{url:.100}: not inside {self._root}, the --local-files-root')
        if not path.is_file():
            raise FileNotFoundError(f'{path}: no such file')
        status = path.stat()
        return ImageSource(url, path, (status.st_mtime_ns, status.st_size))


def _server() -> str | None:
    """Return host and port of Label Studio."""
    return urlsplit(server_url() or '').netloc.lower() or None
