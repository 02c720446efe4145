"""Every op, by hand and by JAX, over the list of cases."""

import importlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from op_cases import CASES
from op_cases.table import is_loss
from verdict import assert_same, assert_seen, norm, on_device

import bpjax
import bpjax.functional as F
from bpjax.engine import Op
from bpjax.program.call import Bounded

each = pytest.mark.parametrize("case", CASES, ids=[c.id for c in CASES])
narrow = pytest.mark.parametrize("case", [c for c in CASES if c.narrow], ids=[c.op if c.first else c.id for c in CASES if c.narrow])
one_per_op = pytest.mark.parametrize("case", [c for c in CASES if c.first], ids=[c.op for c in CASES if c.first])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        yield


@pytest.fixture
def called(monkeypatch):
    """The names of the ops whose backward ran."""
    names = []
    original = Op.declared

    def counting(self, half):
        if half == "backward":
            names.append(self.__name__)
        return original(self, half)

    monkeypatch.setattr(Op, "declared", counting)
    monkeypatch.setattr(sys.modules[Op.__module__], "_calls", Bounded(1024))  # halves that another test traced would not be run again
    return names


COTANGENTS = {"random": (1.0, 0.0), "zero": (0.0, 0.0), "combination": (2.0, -3.0)}


def combined(y, a=1.0, b=0.0):
    """A cotangent for y: a u + b v, u and v random; of NumPy, so that no program has to draw them."""
    u, v = (np.random.default_rng(i).standard_normal(y.shape).astype(y.dtype) for i in (3, 4))
    return (a * u + b * v).astype(y.dtype)


@each
def test_hand_is_auto(case, called, record_property):
    args = on_device(case.args)
    assert all(a.dtype == jnp.float64 for a in args)

    @jax.jit
    def program(a, b, *args):
        y, back = bpjax.vjp(case.f, *args)
        formula, auto = jax.vjp(case.f, *args)
        dy = combined(y, a, b)
        return y, formula, back(dy), auto(dy)

    results = {n: program(a, b, *args) for n, (a, b) in COTANGENTS.items()}
    y, formula, *_ = results["random"]
    if isinstance(getattr(F, case.op), Op):
        assert set(called) == {case.op}, "the sweep did not recognise the op"
    # rounding of terms that cancel, where the forward adds them in another order
    rounding = 1e-15 * np.abs(np.nan_to_num(formula, posinf=0, neginf=0)).max(initial=0)
    np.testing.assert_allclose(y, formula, rtol=1e-13, atol=max(rounding, 1e-300))
    for name, (_, _, hand, auto) in results.items():
        assert all(np.isfinite(h).all() for h in hand)
        assert_same(hand, auto, norm(combined(y, *COTANGENTS[name])), entrywise=case.entrywise)
    assert_seen(case.id, results["random"][3], norm(combined(y)), record_property, entrywise=case.entrywise)


@one_per_op
def test_eager(case, called):
    args = on_device(case.args)
    y, back = bpjax.vjp(case.f, *args)
    dy = combined(y)
    assert_same(back(dy), jax.jit(lambda *a: jax.vjp(case.f, *a)[1](dy))(*args))
    assert set(called) == {case.op} or not isinstance(getattr(F, case.op), Op)


@one_per_op
def test_under_vmap_and_of_a_vmap(case):
    batched = on_device(np.stack([a, 0.9 * a]) for a in case.args)

    def pull(vjp, f, *args):
        y, back = vjp(f, *args)
        return back(combined(y))

    def program(*args):
        under = [jax.vmap(lambda *a, v=v: pull(v, case.f, *a))(*args) for v in (bpjax.vjp, jax.vjp)]
        return under, [pull(v, jax.vmap(case.f), *args) for v in (bpjax.vjp, jax.vjp)]

    for hand, auto in jax.jit(program)(*batched):
        assert_same(hand, auto)


def loss_of(case):
    return lambda *args: jnp.sum(jnp.sin(case.f(*args)))


@one_per_op
def test_in_a_scan(case, called):
    args = on_device(case.args)

    def scanned(*args):
        def step(total, s):
            return total + loss_of(case)(args[0] * s, *args[1:]), None

        return jax.lax.scan(step, jnp.zeros(()), jnp.array([0.5, 0.8, 0.9]))[0]

    numbers = tuple(range(len(args)))
    hand, auto = jax.jit(lambda *a: [g(scanned, numbers)(*a) for g in (bpjax.grad, jax.grad)])(*args)
    assert case.op in called or not isinstance(getattr(F, case.op), Op)
    assert_same(hand, auto)


def second_orders(case, *pairs):
    """The gradient of a function of the gradient, for each pair of what takes the inner one and the outer one."""
    args = on_device(case.args)
    numbers = tuple(range(len(args)))

    def second(grad, outer):
        def of_gradient(*args):
            return sum(jnp.sum(jnp.cos(g + i)) for i, g in enumerate(grad(loss_of(case), numbers)(*args)))

        return outer(of_gradient, numbers)

    return jax.jit(lambda *a: [second(*pair)(*a) for pair in pairs])(*args)


@one_per_op
def test_second_order(case):
    assert case.smooth
    *hands, auto = second_orders(case, (bpjax.grad, bpjax.grad), (bpjax.grad, jax.grad), (jax.grad, jax.grad))
    for hand in hands:
        assert_same(hand, auto, relative=1e-9, absolute=1e-12)


NO_SECOND_ORDER = {  # where no two agree on it
    "huber_loss: edges": "at |x - t| = δ PyTorch has 0, and what is here, 1/2",
    "smooth_l1_loss: edges": "at |x - t| = β PyTorch has 0, and what is here, 1/2",
    "huber_loss: infinite": "NaN",
    "smooth_l1_loss: infinite": "NaN",
    "poisson_nll_loss: edges": "1e15 and no digits, where the rate is 0",
    "binary_cross_entropy: edges": "NaN, as in PyTorch",
    "cosine_embedding_loss: zeros, across, another target": "5000 beside rounding",
}
EDGES = [c for c in CASES if not c.smooth and "pool" not in c.op and c.id not in NO_SECOND_ORDER]


@pytest.mark.parametrize("case", EDGES, ids=[c.id for c in EDGES])
def test_second_order_at_edges(case):
    hand, auto = second_orders(case, (bpjax.grad, bpjax.grad), (jax.grad, jax.grad))
    assert_same(hand, auto, relative=1e-9, absolute=1e-12)


@pytest.mark.parametrize("loss", [F.huber_loss, F.smooth_l1_loss])
@pytest.mark.parametrize("grad", [bpjax.grad, jax.grad])
def test_a_parabola_is_curved_at_its_bottom(loss, grad):
    curvature = jax.vmap(grad(grad(lambda x: loss(x, jnp.zeros(())))))(jnp.array([-0.5, 0.0, 0.5]))
    assert curvature.tolist() == [1.0, 1.0, 1.0]


@pytest.fixture(scope="module")
def without_x64():
    """The functions of the cases by id, closed over arrays of their own: JAX 0.10 remembers the dtype that a NumPy array was first
    traced with, for as long as that trace lives, also when enable_x64 has changed since."""
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "op_cases"}
    again = importlib.import_module("op_cases").CASES
    sys.modules.update(ours)
    return {c.id: c.f for c in again}


@narrow
def test_low_precision(case, without_x64):
    def pull(f, vjp, args, dy=None):
        y, back = vjp(f, *args)
        return y, back(combined(y) if dy is None else dy)

    dtypes = (jnp.float32, jnp.bfloat16, jnp.float16)
    low = [on_device(case.args, dtype) for dtype in dtypes]
    with jax.enable_x64(False):
        results = jax.jit(lambda low: [[pull(without_x64[case.id], v, args) for v in (bpjax.vjp, jax.vjp)] for args in low])(low)
    in_float64 = jax.jit(lambda args, dy: pull(case.f, jax.vjp, args, dy)[1])
    for dtype, args, ((y, hand), (_, auto)) in zip(dtypes, low, results):
        assert y.dtype == (jnp.float32 if is_loss(case.op) else dtype)
        truth = in_float64(on_device(args, np.float64), np.asarray(combined(y), np.float64))
        for a, h, o, t in zip(args, hand, auto, truth, strict=True):
            assert h.dtype == a.dtype and h.shape == a.shape
            h, o, t = (np.asarray(v, np.float64) for v in (h, o, t))
            assert norm(h - t) <= 2 * norm(o - t) + 0.5 * float(jnp.finfo(dtype).eps) * norm(t), dtype


def test_pytorchs_conventions_at_kinks():
    zero = jnp.zeros(())
    for f, expected in [(F.relu, 0.0), (F.leaky_relu, 0.01), (F.elu, 1.0), (lambda x: F.l1_loss(x, zero), 0.0)]:
        assert bpjax.grad(f)(zero) == jax.grad(f)(zero) == expected
    ties = bpjax.grad(lambda x: F.max_pool2d(x, 2).sum())(jnp.ones((1, 2, 2)))
    assert ties.tolist() == [[[1.0, 0.0], [0.0, 0.0]]]


def test_all_rows_ignored_gives_nan_and_no_gradient():
    f = lambda z: F.cross_entropy(z, jnp.full(3, -100))  # noqa: E731
    z = jnp.ones((3, 4))
    assert jnp.isnan(f(z)) and not bpjax.grad(f)(z).any() and not jax.grad(f)(z).any()


def test_a_class_or_an_index_out_of_range_is_nan():
    assert jnp.isnan(F.cross_entropy(jnp.ones((1, 3)), jnp.array([3]))) and jnp.isnan(F.cross_entropy(jnp.ones((1, 3)), jnp.array([-1])))
    assert jnp.isnan(F.embedding(jnp.array([-1]), jnp.ones((2, 2)))).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: F.mse_loss(jnp.ones(2), jnp.ones((2, 1))), "one shape"),
        (lambda: F.softmax(jnp.ones(2)), "dim=-1"),
        (lambda: F.dropout(jnp.ones(2)), "rng"),
        (lambda: F.dropout(jnp.ones(2), 1.5), "p must"),
        (lambda: F.gelu(jnp.ones(2), "x"), "approximate"),
        (lambda: F.layer_norm(jnp.ones((2, 3)), (2,)), r"\(2, 3\)"),
        (lambda: F.batch_norm(jnp.ones((1, 3)), None, None, training=True), "more than 1 value"),
        (lambda: F.cross_entropy(jnp.ones((2, 3)), jnp.zeros((3,), int)), "target"),
        (lambda: F.conv2d(jnp.ones((1, 3, 4, 4)), jnp.ones((1, 2, 1, 1))), "groups"),
        (lambda: F.max_pool2d(jnp.ones((1, 3, 3)), 2, padding=2), "padding"),
        (lambda: F.mse_loss(jnp.ones(2), jnp.ones(2), reduction="average"), "reduction"),
    ],
)
def test_errors_say_what_is_wrong(call, words):
    with pytest.raises(ValueError, match=words):
        call()
