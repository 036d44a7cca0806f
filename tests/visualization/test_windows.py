import sys
import warnings

import numpy as np
import pytest

from mmp2seg.visualization.windows import show_picture

PICTURE = np.zeros((4, 6, 3), np.uint8)


class Window:
    def __init__(self):
        self.shown = []

    def show(self, picture, **options):
        self.shown.append((picture, options))


def with_backend(monkeypatch, name):
    pyplot = pytest.importorskip('matplotlib.pyplot')
    monkeypatch.setattr(pyplot, 'get_backend', lambda: name)
    assert sys.modules['matplotlib.pyplot'] is pyplot


@pytest.mark.parametrize('backend', ['agg', 'Agg', 'pdf'])
def test_without_a_display_a_warning_says_so(monkeypatch, backend):
    with_backend(monkeypatch, backend)
    window = Window()
    with pytest.warns(UserWarning, match=r'a\.jpg: not shown, as there is no display'):
        assert not show_picture(window, PICTURE, title='a.jpg')
    assert window.shown == []


@pytest.mark.parametrize('backend', ['TkAgg', 'module://matplotlib_inline.backend_inline'])
def test_with_a_display_the_window_gets_the_picture(monkeypatch, backend):
    with_backend(monkeypatch, backend)
    window = Window()
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert show_picture(window, PICTURE, title='a.jpg', wait_time=0.5)
    ((picture, options),) = window.shown
    assert picture is PICTURE and options == dict(win_name='a.jpg', wait_time=0.5)
