import jax
import pytest


@pytest.fixture
def x64():
    """Turns float64 on for one test."""
    with jax.enable_x64(True):
        yield
