"""Every case of the table: hand against jax.vjp, with random, zero and combined cotangents, in one compiled program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from primitive_cases import CASES, ENTRYWISE
from verdict import assert_same, assert_seen, on_device

import bpjax

pytestmark = pytest.mark.usefixtures("x64")
IDS = [f"{primitive}: {name}" for primitive, name, *_ in CASES]
ROUNDS = ("convert_element_type", "reduce_precision")  # their backward rounds, so it is linear up to that
NOT_IN_BFLOAT16 = "bessel_i0e bessel_i1e convert_element_type complex fft lu qr svd eig eigh cholesky tridiagonal_solve".split()
NOT_UNDER_VMAP = ("ragged_dot_general",)  # in JAX neither, but along its first axis
FIRST = [i for i, c in enumerate(CASES) if c[0] not in [d[0] for d in CASES[:i]]]


def close(hand, auto, relative=1e-10, entrywise=False):
    """Row by row; what is infinite or NaN must be so on both sides."""
    hand, auto = ([np.asarray(leaf) for leaf in jax.tree.leaves(tree)] for tree in (hand, auto))
    is_odd = [~np.isfinite(np.asarray(a, np.float64)) for a in auto]
    for h, a, odd in zip(hand, auto, is_odd, strict=True):
        np.testing.assert_array_equal(np.asarray(h, np.float64)[odd], np.asarray(a, np.float64)[odd])
    assert_same(
        *([np.where(odd, a.dtype.type(0), a) for a, odd in zip(side, is_odd)] for side in (hand, auto)),
        relative=relative,
        entrywise=entrywise,
    )


def primitives(jaxpr):
    """The names of all primitives in a jaxpr, and in those inside it."""
    for eqn in jaxpr.eqns:
        yield eqn.primitive.name
        for value in jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            if hasattr(value, "eqns"):
                yield from primitives(value)


@pytest.mark.parametrize("i", range(len(CASES)), ids=IDS)
def test_hand_agrees_with_jax_vjp(i, record_property):
    primitive, _, f, args, _ = CASES[i]
    args = on_device(args)
    if primitive != "logsumexp":
        assert primitive in set(primitives(jax.make_jaxpr(f)(*args))), "the case does not reach its primitive"

    program = jax.jit(lambda args, dy: (bpjax.vjp(f, *args)[1](dy), jax.vjp(f, *args)[1](dy)))
    rng = np.random.default_rng(1)
    drawn = lambda o: np.asarray(rng.normal(size=o.shape)).astype(o.dtype)
    u, v = (jax.tree.map(drawn, jax.eval_shape(f, *args)) for _ in range(2))
    zero, both = jax.tree.map(np.zeros_like, u), jax.tree.map(lambda a, b: 2 * a - 3 * b, u, v)
    (hu, au), (hv, av), (h0, _), (hb, _) = (program(args, dy) for dy in (u, v, zero, both))
    entrywise = IDS[i] in ENTRYWISE
    close(hu, au, entrywise=entrywise)
    close(hv, av, entrywise=entrywise)
    assert_seen(IDS[i], [np.where(np.isfinite(a), a, 0) for a in au], 1.0, record_property, entrywise=entrywise)
    assert all(np.all(np.nan_to_num(x) == 0) for x in jax.tree.leaves(h0))
    if all(np.all(np.isfinite(x)) for x in jax.tree.leaves((hu, hv))):
        lowest = 1e-2 if primitive in ROUNDS else 1e-9
        close(hb, jax.tree.map(lambda a, b: 2 * np.asarray(a) - 3 * np.asarray(b), hu, hv), lowest)


@pytest.mark.parametrize("i", [i for i in FIRST if CASES[i][0] not in NOT_UNDER_VMAP], ids=lambda i: IDS[i])
def test_eager_under_vmap_in_a_scan_and_at_second_order(i):
    _, _, f, args, smooth = CASES[i]
    args = on_device(args)
    y, back = bpjax.vjp(f, *args)
    close(back(jax.tree.map(jnp.ones_like, y)), jax.vjp(f, *args)[1](jax.tree.map(jnp.ones_like, y)))

    def loss(*args):
        return sum(jnp.sum(jnp.sin(o)) for o in jax.tree.leaves(f(*args)))

    def squared(gradient):
        return lambda *args: sum(jnp.sum(jnp.cos(g)) for g in gradient(loss, argnums=tuple(range(len(args))))(*args))

    def batched(*args):
        return jnp.sum(jax.vmap(loss)(*args))

    def scanned(*args):
        return lax.scan(lambda c, x: (c + loss(*x), None), 0.0, args)[0]

    @jax.jit
    def program(args):
        n = tuple(range(len(args)))
        batch = tuple(jnp.stack([a, a]) for a in args)
        out = {}
        for name, derivative in (("hand", bpjax.grad), ("auto", jax.grad)):
            out[name] = [derivative(batched, n)(*batch), jax.vmap(derivative(loss, n))(*batch), derivative(scanned, n)(*batch)]
            out[name] += [derivative(squared(derivative), n)(*args)] if smooth else []
        return out

    out = program(args)
    close(out["hand"], out["auto"], 1e-8)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("i", FIRST, ids=[IDS[i] for i in FIRST])
def test_in_low_precision(i, dtype):
    primitive, _, f, args, _ = CASES[i]
    if primitive in NOT_IN_BFLOAT16 and dtype == "bfloat16":
        dtype = "float32"
    args = on_device(args, dtype)

    def loss(*args):
        return sum(jnp.sum(o.astype(jnp.float32)) for o in jax.tree.leaves(f(*args)))

    n = tuple(range(len(args)))
    hand, auto = jax.jit(lambda args: (bpjax.grad(loss, n)(*args), jax.grad(loss, n)(*args)))(args)
    close(hand, auto, 64 * float(jnp.finfo(dtype).eps))


def test_placement_passes_the_cotangent_through():
    sharding = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    for f in (lambda x: lax.with_sharding_constraint(x * x, sharding), lambda x: jax.device_put(x * x, jax.devices()[0])):
        close(jax.jit(bpjax.grad(lambda x, f=f: f(x).sum()))(jnp.arange(3.0)), 2 * jnp.arange(3.0))


@pytest.mark.parametrize(
    "f, words",
    [
        (lambda x: jnp.ones(3).at[jnp.array([0, 0])].multiply(x).sum(), "unique_indices"),
        (lambda x: lax.polygamma(x, x).sum(), "order of polygamma"),
        (lambda x: lax.betainc(x, x, x / 9).sum(), "betainc"),
        (lambda x: x.at[0].apply(jnp.sin).sum(), "scatter_apply"),
    ],
    ids=["repeated factors", "the order of polygamma", "a in betainc", "scatter_apply"],
)
def test_what_has_no_derivative_is_refused(f, words):
    with pytest.raises(bpjax.NoRuleError, match=words):
        bpjax.grad(f)(jnp.array([1.0, 2.0]))
