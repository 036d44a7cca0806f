"""What the backend uses of ``label-studio-sdk``; the SDK is imported when a function is called.

Everything of the SDK that has no stable name is used here alone. Label Studio itself and its ML
backends import the same functions.
"""

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# of a download, in seconds: to connect, and between two parts of the answer
_TIMEOUT = (5.0, 30.0)


def require_sdk() -> None:
    """Check that the SDK is installed, without importing it.

    Raises:
        ModuleNotFoundError: it is not; the message says how to install it.
    """
    if importlib.util.find_spec('label_studio_sdk') is None:
        raise ModuleNotFoundError(
            'the Label Studio backend needs the package label-studio-sdk: '
            "pip install 'label-studio-sdk>=2.1.2,<3'"
        )


def parse_config(text: str) -> dict[str, Any]:
    """Parse a labelling config, the XML of a project.

    Returns:
        dict: by the names of the control tags ``type``, ``to_name``, ``inputs`` (``type`` and
        ``value`` of the object tags), ``labels`` and more.

    Raises:
        ValueError: it is not a labelling config.
    """
    from label_studio_sdk._extensions.label_studio_tools.core import label_config

    try:
        return label_config.parse_config(text)
    except Exception as error:  # of lxml, or a tag without an attribute
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f'expected a labelling config, got {text!r:.60}: {reason}') from error


def encode_brush(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Encode a mask ``(H, W)`` as the bytes of Label Studio's RLE of an RGBA image.

    The pixels of the mask are 255 in all four channels, all others 0.
    """
    from label_studio_sdk.converter import brush

    return brush.mask2rle(mask.astype(np.uint8) * 255)


def fetch(url: str, folder: Path, *, task_id: int | None) -> Path:
    """Download a file of a task into a folder, by way of Label Studio where it is stored there.

    ``LABEL_STUDIO_URL`` and ``LABEL_STUDIO_API_KEY`` name the server and the user. The key, a
    legacy token or a personal access token, is sent to that server alone. A server that does not
    answer is given up after half a minute.

    Args:
        url: as in the task's data.
        folder: an existing folder.
        task_id: id of the task, which cloud storage needs.

    Returns:
        Path: the file.

    Raises:
        OSError: the server is not known, does not answer, or has no such file.
    """
    import requests
    from label_studio_sdk._extensions.label_studio_tools.core.utils import io

    class Session(requests.Session):
        def request(self, *args: Any, **kwargs: Any) -> requests.Response:
            kwargs['timeout'] = _TIMEOUT
            return super().request(*args, **kwargs)

    server, key = server_url(), os.environ.get('LABEL_STUDIO_API_KEY')
    with Session() as session, io.http_session(session):
        if server and key and io.is_jwt_well_formed(key):
            # a personal access token, which is good for a token of some minutes alone
            answer = session.post(
                io.concat_urls(server, 'api/token/refresh/'), json={'refresh': key}
            )
            answer.raise_for_status()
            key = answer.json()['access']
        return Path(
            io.get_local_path(
                url, cache_dir=str(folder), hostname=server, access_token=key, task_id=task_id
            )
        )


def server_url() -> str | None:
    """Return the address of Label Studio in the environment, None if there is none."""
    return os.environ.get('LABEL_STUDIO_URL') or os.environ.get('LABEL_STUDIO_HOST') or None
