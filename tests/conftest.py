import os

# LLVM's optimisation is half of the tests' time, and changes neither mathematics nor temporary bytes.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"

import jax  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture
def x64():
    """Turns float64 on for one test."""
    with jax.enable_x64(True):
        yield
