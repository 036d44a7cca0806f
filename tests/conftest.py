"""How many examples the property-based tests try; `--hypothesis-profile=many` tries many."""

from hypothesis import HealthCheck, settings

_OPTIONS = dict(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile('few', max_examples=25, derandomize=True, **_OPTIONS)
settings.register_profile('many', max_examples=1000, database=None, **_OPTIONS)
settings.load_profile('few')
