import io

import pytest

from mmp2seg.experiments.progress import ProgressPrinter, short_progress

TRAIN = (
    '11/22 - mmengine - INFO - Iter(train) [  50/1500]  lr: 1.0e-04  eta: 0:04:10  time: 0.5  '
    'loss: 1.2300  loss_offset: 3.2\n'
)


@pytest.mark.parametrize(
    ('line', 'short'),
    [
        (TRAIN, 'train [50/1500], eta 0:04:10, loss 1.2300'),
        ('Epoch(train) [2][ 5/38]  eta: 0:01:00  loss: 2', 'train [2][5/38], eta 0:01:00, loss 2'),
        ('Iter(test) [10/38]    eta: 0:00:02  time: 0.1', 'test [10/38], eta 0:00:02'),
        ('[>>>     ] 10/300, 12.3 task/s, elapsed: 1s, ETA:    24s', '10/300, eta 24s'),
        ('Checkpoints will be saved to here', None),
        ('loss: 3', None),
        ('', None),
    ],
)
def test_short_progress(line, short):
    assert short_progress(line) == short


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminal_has_one_line_that_is_cleared_in_the_end():
    stream = Terminal()
    printer = ProgressPrinter(stream)
    text = TRAIN.encode()
    printer.feed(text[:40])
    assert stream.getvalue() == ''  # no line is shown before it is complete
    printer.feed(text[40:] + b'other\n' + text.replace(b'50/', b'60/'))
    assert 'train [60/1500]' in stream.getvalue().split('\r')[-1]
    assert '\n' not in stream.getvalue()
    printer.close()
    assert stream.getvalue().endswith('\r\x1b[K')


def test_progress_bars_end_with_a_carriage_return():
    stream = Terminal()
    ProgressPrinter(stream).feed(b'[> ] 1/3, 1.0 task/s, elapsed: 1s, ETA: 2s\r[>')
    assert stream.getvalue().endswith('1/3, eta 2s')


def test_no_terminal_now_and_then():
    stream = io.StringIO()
    printer = ProgressPrinter(stream, interval=3600)
    printer.feed(TRAIN.encode())
    printer.close()
    assert stream.getvalue() == ''
    printer = ProgressPrinter(stream, interval=0)
    printer.feed(2 * TRAIN.encode())
    printer.close()
    assert stream.getvalue() == '      train [50/1500], eta 0:04:10, loss 1.2300\n'
