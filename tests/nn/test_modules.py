"""Every module, by hand and by JAX, over the list of cases; those of functions are in tests/functional, over more of them."""

import jax
import numpy as np
import op_cases
import pytest
from module_cases import CASES
from module_cases.table import BPJAX, cotangents, program, pull, random_like
from verdict import assert_same, assert_seen, norm

import bpjax
from bpjax import nn

pytestmark = pytest.mark.usefixtures("x64")


def values(case, built):
    if not isinstance(built, nn.Module):
        return {}, {}
    shapes = [a if a is None else jax.ShapeDtypeStruct(np.shape(a), np.asarray(a).dtype) for a in case.inputs]
    start = lambda: (built.init(jax.random.key(0), *shapes), built.init_buffers())
    return start() if case.keep else random_like(jax.eval_shape(start))


FUNCTIONS = {case.op for case in op_cases.CASES}
MODULES = [case for case in CASES if case.name not in FUNCTIONS]


@pytest.mark.parametrize("case", MODULES, ids=[c.id for c in MODULES])
def test_hand_is_auto(case, record_property):
    built = case.make(BPJAX)
    params, buffers = values(case, built)
    f, args = program(case, built, params, buffers, case.modes[0])

    (y, hand, new), (formula, auto, _) = jax.jit(lambda *a: (pull(bpjax.vjp, f, a), pull(jax.vjp, f, a)))(*args)
    hand, auto = jax.tree.leaves(hand), jax.tree.leaves(auto)
    dy_size = max([norm(u) for u in cotangents(y)], default=1.0)
    for h, a in zip(y, formula, strict=True):
        np.testing.assert_allclose(h, a, rtol=1e-12, atol=1e-300)
    assert jax.tree.structure(new) == jax.tree.structure(buffers)
    assert_same(hand, auto, dy_size, entrywise=case.entrywise)
    assert_seen(case.id, auto, dy_size, record_property, entrywise=case.entrywise)
