import importlib.metadata
import os

# LLVM's optimisation is half of the tests' time, and the newer of two code generators a third of the rest, which later versions of JAX
# have alone; neither changes mathematics or temporary bytes.
if "cuda" not in os.environ.get("JAX_PLATFORMS", ""):
    flags = ["--xla_backend_optimization_level=0", "--xla_cpu_parallel_codegen_split_count=1"]
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        flags.append("--xla_cpu_use_fusion_emitters=false")
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *flags])

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


def pytest_terminal_summary(terminalreporter):
    """How many planted mistakes were caught, and what was held against PyTorch."""
    properties = [p for report in terminalreporter.stats.get("passed", []) for p in getattr(report, "user_properties", ())]
    planted, caught = (sum(value for name, value in properties if name == kind) for kind in ("planted", "caught"))
    if planted:
        terminalreporter.write_line(f"planted mistakes: {caught} of {planted} caught, {caught / planted:.1%}")
    if names := [value for name, value in properties if name == "parity"]:
        terminalreporter.write_line(f"as PyTorch: {len(set(names))} classes and functions, {len(names)} cases")
