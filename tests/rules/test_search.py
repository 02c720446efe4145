"""Every rule by hand against jax.vjp, over options that hypothesis draws from the signature of the primitive."""

from collections import defaultdict

import jax
import jax.extend.core.primitives as primitives
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import UnsatisfiedAssumption
from search_cases import SEARCHES, normal

import bpjax
from bpjax.engine import RULES
from bpjax.engine.rule import PrimitiveRule

pytestmark = pytest.mark.usefixtures("x64")
INSTALLED = {p.name for key, p in vars(primitives).items() if key.endswith("_p")}
HERE = [name for name in SEARCHES if name in INSTALLED]
UNSEARCHED = {
    "about devices and names, no arithmetic": "device_put mesh_cast reshard sharding_constraint pvary name",
    "communication, in tests/devices": "all_gather all_to_all ppermute psum psum_invariant reduce_scatter",
    "written by autodiff itself": "add_any select_and_gather_add select_and_scatter_add tie",
    "takes the coefficients as a parameter": "polynomial one_minus_square",
    "without a derivative in some versions of JAX, in test_public_functions": "nextafter",
}
few = settings(deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
# Options that no example varies, and why not.
SHARDING = {"sharding", "out_sharding", "new_sharding"}  # for meshes of several devices, tested with them
UNVARIED = {"scatter": {"update_jaxpr", "update_consts"}}  # functions, made by lax
UNVARIED |= {f"scatter-{of}": {"update_consts"} for of in ("add", "mul", "min", "max", "sub")}
UNVARIED |= dict.fromkeys(["reduce_window_max", "reduce_window_min"], {"window_dilation"})  # JAX has no gradient of it


def equations(jaxpr):
    """Those of a program, and of the programs inside."""
    for eqn in jaxpr.eqns:
        yield eqn
        for inner in eqn.params.values():
            if hasattr(inner, "eqns") and eqn.primitive.name == "jit":
                yield from equations(inner)


def cotangent(y):
    is_inexact = jax.numpy.issubdtype(y.dtype, np.inexact)
    return normal(99, y.shape, y.dtype) if is_inexact else np.zeros(y.shape, jax.dtypes.float0)


AMPLIFIES = {  # how much more than a rounding may be off
    **dict.fromkeys("cholesky triangular_solve lu qr eigh svd eig tridiagonal_solve".split(), 1e6),
    "random_gamma": 1e3,
    "reduce": 10,
}


def examples(name, count):
    """The values that each parameter of the primitive took in the examples; all of them agreed."""
    seen = defaultdict(set)

    @settings(few, max_examples=count)
    @given(st.data())
    def one(data):
        f, *args = SEARCHES[name](data)
        try:
            jaxpr = jax.make_jaxpr(f)(*args)
            kinds = jax.eval_shape(f, *args)
            dy = jax.tree.map(cotangent, kinds)
            jax.eval_shape(lambda args: jax.vjp(f, *args)[1](dy), args)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise UnsatisfiedAssumption from error  # JAX has no such use, or no gradient of it
        for eqn in equations(jaxpr):
            if eqn.primitive.name == name:
                for key, value in {"": None, **eqn.params}.items():
                    seen[key].add(str(value))
        auto, hand = jax.jit(lambda args: (jax.vjp(f, *args)[1](dy), bpjax.vjp(f, *args)[1](dy)))(args)
        compare(hand, auto, dy, AMPLIFIES.get(name, 1), [x.dtype for x in jax.tree.leaves((args, kinds))])

    one()
    return seen


def compare(hand, auto, dy, factor, dtypes):
    """In the types given; off by no more than roundings of the coarsest of them, of the gradient and of what cancels in it."""
    eps = max(float(jax.numpy.finfo(t).eps) for t in dtypes if jax.numpy.issubdtype(t, np.inexact))
    size = np.linalg.norm([np.linalg.norm(np.asarray(d, complex)) for d in jax.tree.leaves(dy) if d.dtype != jax.dtypes.float0])
    for h, a in zip(hand, auto, strict=True):
        assert (h.shape, h.dtype) == (a.shape, a.dtype)
        if a.dtype != jax.dtypes.float0:
            h, a = (np.asarray(x, complex) for x in (h, a))
            np.testing.assert_array_equal(np.isfinite(h), np.isfinite(a))
            h, a = (np.where(np.isfinite(a), x, 0) for x in (h, a))
            assert np.linalg.norm(h - a) <= 16 * factor * eps * (np.linalg.norm(a) + size), (h, a)


@pytest.mark.parametrize("count", [6, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", HERE)
def test_over_its_options(name, count):
    seen = examples(name, count)
    assert seen, "no example reached the primitive"
    if count > 6:
        unvaried = {key for key, values in seen.items() if key and len(values) < 2}
        assert unvaried - SHARDING == UNVARIED.get(name, set())


def test_every_rule_is_searched():
    excused = {name for names in UNSEARCHED.values() for name in names.split()}
    ruled = {name for name, rule in RULES.items() if name in INSTALLED and isinstance(rule, PrimitiveRule)}
    assert sorted(ruled - excused - set(SEARCHES)) == []
