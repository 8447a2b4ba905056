"""The fast tests: seconds, no torch. `python3 launch.py test tests/unit` is the inner loop."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def loaded_engine():
    """Take the place of the one that loads LLaMA-Factory: what is tested here needs none of it."""
