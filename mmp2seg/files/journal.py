"""A journal: the results of finished parts of a long work, so that it goes on where it stopped."""

import json
import os
from collections.abc import Hashable
from pathlib import Path
from types import TracebackType
from typing import Any

from mmp2seg.files.json_reading import parse_json


class Journal:
    """A file with a line of json for each finished part; the first line is the plan of the work.

    A journal of another plan is started again. A line that was cut off when the process ended is
    forgotten.

    Args:
        path: the file; its folder has to exist.
        plan: what the results depend on, as plain json types.

    Attributes:
        entries: what :meth:`add` was called with, by key, in this process and before.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | Path, plan: Any) -> None:
        self.path = Path(path)
        plan = json.loads(json.dumps(plan))  # as it is read: lists, no tuples
        self.entries: dict[Hashable, Any] = {}
        end = self._read(plan)
        self._file = open(self.path, 'r+b' if end else 'wb')  # noqa: SIM115, see __exit__
        self._file.truncate(end)
        self._file.seek(end)
        if not end:
            self._write(plan)

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, key: Hashable, entry: Any) -> None:
        """Write the result of a part; ``key`` and ``entry`` are plain json types."""
        self._write([key, entry])
        self.entries[key] = entry

    def remove(self) -> None:
        """Remove the file when all of the work is done."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _read(self, plan: Any) -> int:
        """Read the entries of an earlier process; return where the last whole line ends."""
        if not self.path.is_file():
            return 0
        end = 0
        with open(self.path, 'rb') as file:
            for number, line in enumerate(file):
                if not line.endswith(b'\n'):
                    break
                try:
                    content = parse_json(line.decode('utf-8'), self.path)
                except ValueError:
                    break
                if number == 0 and content != plan:
                    return 0
                if number > 0:
                    if not (isinstance(content, list) and len(content) == 2):
                        break
                    self.entries[content[0]] = content[1]
                end += len(line)
        return end

    def _write(self, content: Any) -> None:
        self._file.write(json.dumps(content, allow_nan=False).encode() + b'\n')
        self._file.flush()
        os.fsync(self._file.fileno())
