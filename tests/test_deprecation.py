import logging

import pytest

from mmp2seg import deprecation


def test_the_warning_is_also_in_the_log(monkeypatch):
    messages = []
    monkeypatch.setattr(
        deprecation,
        'print_log',
        lambda message, logger, level: messages.append((message, logger, level)),
    )
    with pytest.warns(DeprecationWarning, match='write b') as records:
        deprecation.warn_deprecated('a is deprecated: write b')
    assert len(records) == 1
    assert messages == [('a is deprecated: write b', 'current', logging.WARNING)]
