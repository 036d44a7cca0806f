"""A journal: the results of finished parts of a long work, so that it goes on where it stopped."""

import json
import os
import time
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from mmp2seg.files.atomic_write import dump_json
from mmp2seg.files.json_reading import parse_json

_SYNC_SECONDS = 1.0  # a sync to the disk takes as long as a small image


class JournalEntries(Mapping[Hashable, Any]):
    """The entries of a journal file, read from it when they are asked for.

    Memory holds a key and a position for each. The last entry of a key counts. A line that was cut
    off, and what is after it, is left out.

    Args:
        path: the file; if there is none, there are no entries.
        plan: the plan of the work, as plain json types; a journal of another plan has no entries.
    """

    def __init__(self, path: str | Path, plan: Any) -> None:
        self.path = Path(path)
        self.end = 0  # of the last whole line
        self._places: dict[Hashable, int] = {}
        self._file: BinaryIO | None = None
        if self.path.is_file():
            self._scan(json.loads(json.dumps(plan)))  # as it is read: lists, no tuples

    def __getitem__(self, key: Hashable) -> Any:
        """Read an entry."""
        place = self._places[key]
        if self._file is None:
            self._file = open(self.path, 'rb')  # noqa: SIM115, see close
        self._file.seek(place)
        return json.loads(self._file.readline())[1]

    def __iter__(self) -> Iterator[Hashable]:
        """Iterate over the keys, in the order of their first entries."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._places)

    def add(self, key: Hashable, place: int) -> None:
        """Say where in the file the entry of a key is."""
        self._places[key] = place

    def close(self) -> None:
        """Close the file; it is opened again when an entry is read."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _scan(self, plan: Any) -> None:
        with open(self.path, 'rb') as file:
            for number, line in enumerate(file):
                if not line.endswith(b'\n'):
                    return
                try:
                    content = parse_json(line.decode('utf-8'), self.path)
                except ValueError:
                    return
                if number == 0 and content != plan:
                    return
                if number > 0:
                    if not (isinstance(content, list) and len(content) == 2):
                        return
                    if isinstance(content[0], list | dict):  # not what :meth:`Journal.add` writes
                        return
                    self._places[content[0]] = self.end
                self.end += len(line)


class Journal:
    """A file with a line of json for each finished part; the first line is the plan of the work.

    A journal of another plan is started again. A line that was cut off when the process ended is
    forgotten. What was added survives the end of the process; if the machine itself fails, the
    last second may be lost.

    Args:
        path: the file; its folder has to exist.
        plan: what the results depend on, as plain json types.

    Attributes:
        entries: what :meth:`add` was called with, by key, in this process and before. They are read
            from the file.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: str | Path, plan: Any) -> None:
        self.path = Path(path)
        self.entries = JournalEntries(path, plan)
        end = self.entries.end
        self._file = open(self.path, 'r+b' if end else 'wb')  # noqa: SIM115, see __exit__
        self._file.truncate(end)
        self._file.seek(end)
        self._synced = 0.0
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
        self.close()

    def add(self, key: Hashable, entry: Any) -> None:
        """Write the result of a part; ``key`` and ``entry`` are plain json types."""
        self.entries.add(key, self._write([key, entry]))

    def close(self) -> None:
        """Close the file; the entries can still be read."""
        self._file.close()
        self.entries.close()

    def remove(self) -> None:
        """Remove the file when all of the work is done."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _write(self, content: Any) -> int:
        """Write a line and return its place in the file."""
        place = self._file.tell()
        self._file.write(dump_json(content, self.path).encode() + b'\n')
        self._file.flush()
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()
        return place
