"""What of a tool's output is worth a line on the terminal."""

import re
import sys
import time
from typing import TextIO

# 'Iter(train) [ 50/1500]  lr: ...  eta: 0:04:10  ...  loss: 1.23', 'Epoch(train) [1][ 5/50]  ...'
_LOOP = re.compile(r'(?:Iter|Epoch)\((\w+)\)\s*((?:\[\s*\d+\])?\[\s*\d+/\d+\])')
_VALUES = (('eta', re.compile(r'\beta: (\S+)')), ('loss', re.compile(r'\bloss: (\S+)')))
# mmengine's progress bar: '[>>>   ] 10/300, 12.3 task/s, elapsed: 1s, ETA: 24s'
_BAR = re.compile(r'(\d+/\d+), [\d.]+ task/s.*?ETA:\s*(\S+)')


def short_progress(line: str) -> str | None:
    """The short form of a line that tells progress, None for any other line."""
    loop = _LOOP.search(line)
    if loop:
        parts = [f'{loop.group(1)} {loop.group(2).replace(" ", "")}']
        found = ((name, pattern.search(line)) for name, pattern in _VALUES)
        return ', '.join(parts + [f'{name} {match.group(1)}' for name, match in found if match])
    bar = _BAR.search(line)
    return f'{bar.group(1)}, eta {bar.group(2)}' if bar else None


class ProgressPrinter:
    """Shows the progress in a stream of output: on one line of a terminal, else now and then.

    Args:
        stream: where to; standard output by default.
        interval: seconds between two lines where the stream is no terminal.
    """

    def __init__(self, stream: TextIO | None = None, *, interval: float = 20.0) -> None:
        self.stream = stream or sys.stdout
        self.interval = interval
        self._terminal = self.stream.isatty()
        self._rest = b''
        self._last = time.monotonic()
        self._shown = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the output."""
        *lines, self._rest = re.split(rb'[\r\n]', self._rest + chunk)
        texts = (short_progress(line.decode(errors='replace')) for line in lines)
        news = [text for text in texts if text]
        if not news:
            return
        if self._terminal:
            self.stream.write(f'\r\x1b[K      {news[-1]}')
            self._shown = True
        elif time.monotonic() - self._last >= self.interval:
            self.stream.write(f'      {news[-1]}\n')
            self._last = time.monotonic()
        self.stream.flush()

    def close(self) -> None:
        """Clear the line on a terminal."""
        if self._shown:
            self.stream.write('\r\x1b[K')
            self.stream.flush()
