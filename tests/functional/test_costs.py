"""What an op costs `jax.grad`: nothing. Temporary bytes and kernels are at most those of the bare formula."""

import re

import jax
import pytest
from op_cases import CASES

import bpjax.functional as F
from bpjax.engine import Op

OPS = [c for c in CASES if c.first and isinstance(getattr(F, c.op), Op)]


def bare(op, *args, **kwargs):
    statics, arrays = op._bind(args, kwargs)
    return op.formula(**dict(zip(op.arrays, arrays)), **statics)


def costs(f, args):
    """Temporary bytes and kernels of the value and the gradients."""

    def both(*args):
        y, back = jax.vjp(f, *args)
        return y, back(y)

    compiled = jax.jit(both).lower(*args).compile()
    kernels = re.findall(r" = \S+ (?:fusion|dot|convolution|custom-call|copy|sort|while|scatter|reduce|transpose)\(", compiled.as_text())
    return compiled.memory_analysis().temp_size_in_bytes, len(kernels)


@pytest.mark.parametrize("case", OPS, ids=[c.op for c in OPS])
def test_an_op_costs_jax_grad_nothing(case, monkeypatch):
    args = [jax.ShapeDtypeStruct(a.shape, "float32") for a in case.args]
    with_op = costs(case.f, args)
    monkeypatch.setattr(Op, "__call__", bare)
    with_formula = costs(lambda *args: case.f(*args), args)
    assert with_op[0] <= with_formula[0] and with_op[1] <= with_formula[1]
