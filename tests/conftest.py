"""Settings of all tests: random numbers, and the examples of property-based tests.

Property-based tests try few examples; `--hypothesis-profile=many` tries many.
"""

import random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings

_OPTIONS = dict(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile('few', max_examples=25, derandomize=True, **_OPTIONS)
settings.register_profile('many', max_examples=1000, database=None, **_OPTIONS)
settings.load_profile('few')


@pytest.fixture(autouse=True)
def fixed_random_numbers():
    """Seed the global generators, so that a test draws the same numbers whatever ran before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (mmdet's transforms draw from it)
    torch.manual_seed(0)
