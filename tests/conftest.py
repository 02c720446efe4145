import jax
import pytest

jax.config.update("jax_num_cpu_devices", 8)  # what is split over devices is tested on these


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
    """How many planted mistakes were caught, how much no comparison sees, and what was held against PyTorch."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    properties = [(*p, report.nodeid) for report in reports for p in getattr(report, "user_properties", ())]
    right, accused, unjudged = (sum(v for name, v, _ in properties if name == kind) for kind in ("right", "accused", "unjudged"))
    if right:
        terminalreporter.write_line(f"right programs: {accused} of {right} accused, {unjudged} not judged")
    planted, caught = (sum(value for name, value, _ in properties if name == kind) for kind in ("planted", "caught"))
    if planted:
        terminalreporter.write_line(f"planted mistakes: {caught} of {planted} caught, {caught / planted:.1%}")
    if shares := sorted(((value, id) for name, value, id in properties if name == "beneath"), reverse=True):
        mean = sum(share for share, _ in shares) / len(shares)
        terminalreporter.write_line(f"beneath the tolerance: {mean:.2%} of a gradient on average of {len(shares)} cases; the most:")
        for share, id in shares[:5]:
            terminalreporter.write_line(f"  {share:.1%} {id.split('::')[-1]}")
    if names := [value for name, value, _ in properties if name == "parity"]:
        terminalreporter.write_line(f"as PyTorch: {len(set(names))} classes and functions, {len(names)} cases")
