"""No right program is accused, or left unjudged."""

import jax
import jax.numpy as jnp
import numpy as np
import op_cases
import primitive_cases
import pytest
from right_programs import programs

import bpjax

PROGRAMS = list(programs())
NOT_FINITE = "edges"  # in the name of a primitive's case: its gradient is infinite or NaN in truth, and called so
MEANT = {"max_unpool1d: unbatched, overlapping": "PyTorch's gradient, of a value that was written over"}

CASES = [(c.id, c.f, c.args, c.smooth) for c in op_cases.CASES if c.first]
CASES += [(f"{name}: {case}", f, args, smooth) for name, case, f, args, smooth in primitive_cases.CASES]


def assert_right(report, record_property):
    record_property("right", 1)
    record_property(
        "accused", int(any(leaf.verdict in ("WRONG", "not finite") for leaf in report.leaves) or bool(report.blame + report.findings))
    )
    record_property("unjudged", int(any(leaf.verdict == "not judged" for leaf in report.leaves)))
    report.assert_ok()


@pytest.mark.slow
@pytest.mark.parametrize("i", range(len(PROGRAMS)), ids=[name for name, *_ in PROGRAMS])
def test_a_network(i, record_property):
    _, f, params = PROGRAMS[i]
    assert_right(bpjax.check_gradients(f, params() if callable(params) else params), record_property)


@pytest.mark.slow
@pytest.mark.parametrize("name, f, args, smooth", CASES, ids=[case[0] for case in CASES])
def test_a_case_of_the_tables_in_float32(name, f, args, smooth, record_property):
    args = [jnp.asarray(a, jnp.float32) if np.asarray(a).dtype.kind == "f" else jnp.asarray(a) for a in args]
    floating = tuple(i for i, a in enumerate(args) if jnp.issubdtype(a.dtype, jnp.floating))
    report = bpjax.check_gradients(f, *args, argnums=floating, numeric=bool(smooth))
    if NOT_FINITE in name and not report.ok:
        assert {leaf.verdict for leaf in report.leaves} == {"not finite"}
        return
    assert_right(report, record_property)


@pytest.mark.parametrize(
    "i", [i for i, (name, *_) in enumerate(PROGRAMS) if name.startswith(("GELU, in b", "BatchNorm and dropout, fresh"))]
)
def test_two_of_them_always(i):
    test_a_network(i, lambda *_: None)


def test_all_kinds_are_there():
    assert len(PROGRAMS) + len(CASES) >= 300
    assert jax.config.jax_enable_x64 is False
