"""One background thread that finds the masks of the points that the page shows."""

import sys
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from mmp2seg.annotation.point_store import ImagePoints, Point

# Find the masks of an image: (name, points) -> json values, see `MaskWorker.result`.
Predictor = Callable[[str, Sequence[Point]], dict[str, Any]]

_WAITING = 4  # images whose masks are wanted; older ones were left by the user
_KEPT = 16


class MaskWorker:
    """Load a model and find masks, one image at a time, the newest request first.

    The model is loaded in the thread, because importing torch and the mm packages takes seconds. A
    new request for an image replaces an older one that has not begun.

    Args:
        load: load the model. An exception of it is the reason why there are no masks.
    """

    def __init__(self, load: Callable[[], Predictor]) -> None:
        self._load = load
        self._changed = threading.Condition()
        self._wanted: OrderedDict[str, ImagePoints] = OrderedDict()
        self._running: tuple[str, str] | None = None
        self._results: OrderedDict[str, tuple[str, dict]] = OrderedDict()
        self._failure: str | None = None
        self._is_loaded = self._is_closed = False
        self._thread = threading.Thread(target=self._work, name='masks', daemon=True)
        self._thread.start()

    def status(self) -> dict[str, str]:
        """Return ``status``: 'loading', 'ready', or 'none' with a ``message``."""
        with self._changed:
            if self._failure is not None:
                return dict(status='none', message=self._failure)
            return dict(status='ready' if self._is_loaded else 'loading')

    def result(self, name: str, points: ImagePoints, *, timeout: float) -> dict[str, Any]:
        """Ask for the masks of an image, and wait for them.

        Args:
            name: the image.
            points: its points.
            timeout: longest time to wait, in seconds.

        Returns:
            dict: ``status`` and, with 'ready', what the predictor returned; 'pending': ask again
            (``is_loading``: the model is not there yet); 'stale': other points of this image were
            asked for; 'none': there is no model, and 'error': these points failed, both with a
            ``message``.
        """
        key, deadline = (name, points.revision), time.monotonic() + timeout
        with self._changed:
            if self._found(key) is None and self._running != key and self._failure is None:
                self._wanted.pop(name, None)
                self._wanted[name] = points
                while len(self._wanted) > _WAITING:
                    self._wanted.popitem(last=False)
                self._changed.notify_all()
            while not self._is_closed:
                if self._failure is not None:
                    return self.status()
                found = self._found(key)
                if found is not None:
                    return found
                waiting = self._wanted.get(name)
                if self._running != key and (waiting is None or waiting.revision != key[1]):
                    return dict(status='stale')
                left = deadline - time.monotonic()
                if left <= 0:
                    return dict(status='pending', is_loading=not self._is_loaded)
                self._changed.wait(left)
            return dict(status='none', message='the command ends')

    def close(self, *, timeout: float = 10.0) -> None:
        """End the thread, after the image that it is at."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(timeout)

    def _found(self, key: tuple[str, str]) -> dict[str, Any] | None:
        revision, result = self._results.get(key[0], ('', {}))
        return result if revision == key[1] else None

    def _work(self) -> None:
        try:
            predict = self._load()
        except Exception as error:  # of the config, the checkpoint, a missing package, ...
            with self._changed:
                self._failure = message_of(error)
                self._changed.notify_all()
            print(f'no masks: {self._failure}', file=sys.stderr)
            return
        with self._changed:
            self._is_loaded = True
            self._changed.notify_all()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._is_closed)
                if self._is_closed:
                    return
                name, points = self._wanted.popitem()
                self._running = key = (name, points.revision)
            try:
                result = dict(status='ready', **predict(name, points.points))
            except Exception as error:  # one image must not end the masks of the others
                result = dict(status='error', message=message_of(error))
            with self._changed:
                self._running = None
                self._results.pop(name, None)
                self._results[name] = (key[1], result)
                while len(self._results) > _KEPT:
                    self._results.popitem(last=False)
                self._changed.notify_all()


def message_of(error: Exception) -> str:
    """Return the text of an error of a user; others are also printed with their traceback."""
    if isinstance(error, ValueError | OSError) or type(error).__name__ == 'CommandError':
        return str(error)
    traceback.print_exception(error)
    return f'{type(error).__name__}: {error}'
