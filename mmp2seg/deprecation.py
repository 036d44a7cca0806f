"""Warnings about settings that a later version will not accept."""

import logging
import warnings

from mmengine.logging import print_log


def warn_deprecated(message: str) -> None:
    """Warn with a ``DeprecationWarning``, and in the log.

    Python hides this category outside of ``__main__``, so users of a config see only the log.

    Args:
        message: what is deprecated and what to write.
    """
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    print_log(message, logger='current', level=logging.WARNING)
