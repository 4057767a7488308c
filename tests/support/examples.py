"""How many examples Hypothesis tries: `tests/conftest.py` says it for all tests, `make soak` tries more."""

from hypothesis import settings

FEW = settings().max_examples // 4
"""Of a test that is there for each of several formats or calls."""
