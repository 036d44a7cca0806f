"""Show pictures in a window, where there is a display."""

import warnings

import numpy as np
from mmengine.visualization import Visualizer

# The backends of matplotlib that draw to files alone.
_FILE_BACKENDS = {'agg', 'cairo', 'pdf', 'pgf', 'ps', 'svg', 'template'}


def can_show(title: str) -> bool:
    """Return whether there is a display or a notebook; warn if not.

    Without one, mmengine's visualizers would wait forever for a key.

    Args:
        title: what cannot be shown, for the warning.
    """
    # here, because pyplot chooses its backend on the import, which takes a second
    import matplotlib.pyplot as plt

    if plt.get_backend().lower() not in _FILE_BACKENDS:
        return True
    warnings.warn(
        f'{title}: not shown, as there is no display: write the pictures to a folder', stacklevel=2
    )
    return False


def show_picture(
    visualizer: Visualizer, picture: np.ndarray, *, title: str, wait_time: float = 0.0
) -> bool:
    """Show a picture in a visualizer's window, or below a notebook's cell, if there is a display.

    Args:
        visualizer: it keeps one window for all pictures.
        picture: ``(H, W, 3)`` uint8 RGB.
        title: title of the window.
        wait_time: seconds to show it; 0: until the space key is pressed or the window is closed.

    Returns:
        bool: whether it was shown, see :func:`can_show`.
    """
    if not can_show(title):
        return False
    visualizer.show(picture, win_name=title, wait_time=wait_time)
    return True
