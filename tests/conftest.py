import os

# LLVM's optimisation is half of the tests' time, and changes neither mathematics nor temporary bytes.
if "cuda" not in os.environ.get("JAX_PLATFORMS", ""):
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"

import jax  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def forget_compiled_programs():
    """A worker would come to hold gigabytes of them."""
    yield
    jax.clear_caches()


@pytest.fixture
def x64():
    """Turns float64 on for one test."""
    with jax.enable_x64(True):
        yield
