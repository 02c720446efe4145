"""Control flow, pytrees and composition: hand against jax.grad, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.custom_derivatives import linear_call

import bpjax

pytestmark = pytest.mark.usefixtures("x64")


def agree(f, *args, rtol=1e-12):
    """`f`'s pull-back by hand and by JAX, at one random cotangent, jitted together."""
    value, back = bpjax.vjp(f, *args)
    expected, auto_back = jax.vjp(f, *args)
    rng = np.random.default_rng(0)

    def cotangent(v):
        v = jnp.asarray(v)
        return jnp.asarray(rng.normal(size=v.shape)) if jnp.issubdtype(v.dtype, jnp.floating) else np.zeros(v.shape, jax.dtypes.float0)

    u = jax.tree.map(cotangent, expected)
    hand, auto = back(u), auto_back(u)
    assert jax.tree.structure(hand) == jax.tree.structure(auto)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-13), value, expected)
    for h, a in zip(jax.tree.leaves(hand), jax.tree.leaves(auto)):
        assert h.dtype == a.dtype and h.shape == a.shape
        if h.dtype != jax.dtypes.float0:
            np.testing.assert_allclose(h, a, rtol=rtol, atol=1e-13)


def arrays(*shapes, seed=1):
    rng = np.random.default_rng(seed)
    out = [rng.normal(size=s) for s in shapes]
    return out if len(out) > 1 else out[0]


@jax.custom_jvp
def odd_jvp(x, y):
    return jnp.sin(x) * y


@odd_jvp.defjvp
def _(primals, tangents):
    x, y = primals
    dx, dy = tangents
    return odd_jvp(x, y), 3.0 * dx * jnp.cos(x) + dy * jnp.exp(x)


def refused(*_):
    raise AssertionError("a cotangent came where none was to come")


@jax.custom_jvp
def half_differentiable(x):
    return jnp.sin(x), x * x


@half_differentiable.defjvp
def _(primals, tangents):
    (x,), (dx,) = primals, tangents
    return half_differentiable(x), (dx * jnp.cos(x), linear_call(lambda _, d: d, refused, (), dx))


@jax.custom_vjp
def odd_vjp(x, y):
    return jnp.sin(x) * y, x + y


odd_vjp.defvjp(lambda x, y: (odd_vjp(x, y), (x, y)), lambda r, g: (g[0] * r[1] * 7.0 + g[1], None))


@jax.custom_vjp
def straight_through(x):
    return jnp.round(x)


straight_through.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))


@jax.custom_vjp
def reversal(x):
    return x


reversal.defvjp(lambda x: (x, None), lambda _, g: (-g,))


def rnn(params, xs):
    w, v = params

    def step(h, x):
        h = jnp.tanh(x @ v + h @ w.T)
        return h, h

    return lax.scan(step, jnp.zeros(w.shape[0]), xs)


CASES = {
    "nothing but arithmetic": (lambda x, y: x * jnp.sin(y) + x / (y * y + 1), arrays((3,), (3,))),
    "a value used many times": (lambda x: x * x * x + jnp.tanh(x) * x, [arrays((4,))]),
    "an input that is not used": (lambda x, y: x * 2, arrays((3,), (2,))),
    "an output that is an input": (lambda x: (x, x * 2, 3.0), [arrays((3,))]),
    "pytrees in and out": (lambda p: {"s": p["a"] * p["b"][0], "t": (p["a"].sum(),)}, [{"a": arrays((3,)), "b": (arrays((3,), seed=2),)}]),
    "integer leaves and outputs": (lambda x, i: (x[i] * 2, i + 1), [arrays((4,)), np.array([1, 2])]),
    "inner jit": (lambda x: jax.jit(lambda y: jnp.sin(y) * y)(x) * x, [arrays((3,))]),
    "scan with captured weights": (lambda w, xs: lax.scan(lambda c, x: (jnp.tanh(c @ w + x), c.sum()), xs[0], xs), arrays((3, 3), (5, 3))),
    "scan in reverse": (lambda w, xs: lax.scan(lambda c, x: (jnp.sin(c * w + x), c * x), xs[0], xs, reverse=True), arrays((3,), (4, 3))),
    "scan with an integer carry": (lambda x: lax.scan(lambda c, a: ((c[0] * a + c[1], c[1] + 1), c[1]), (1.0, 0), x), [arrays((5,))]),
    "nested scans": (lambda x: lax.scan(lambda c, a: lax.scan(lambda d, b: (jnp.sin(d * b * a), d), c, x), 1.0, x), [arrays((3,))]),
    "scan over nothing but a counter": (lambda x: lax.fori_loop(0, 4, lambda i, c: jnp.sin(c) * (i + 1.0), x), [arrays((3,))]),
    "scan of length zero": (lambda x: lax.scan(lambda c, a: (c * a, a), x, jnp.zeros((0, 3))), [arrays((3,))]),
    "a tied RNN with w.T in its body": (rnn, [tuple(arrays((3, 3), (2, 3))), arrays((6, 2), seed=3)]),
    "a carry that becomes active late": (
        lambda x: lax.scan(lambda c, a: ((c[1], c[0] * a, c[2] * c[1]), None), (1.0, 2.0, 3.0), x)[0],
        [arrays((4,))],
    ),
    "a scan of which some outputs depend on its constants alone": (
        lambda w, x: lax.scan(lambda c, a: (c * a, (jnp.sin(w) * 2, a * w, w)), jnp.ones(()), x),
        [arrays(()), arrays((4,))],
    ),
    "a scan of which all outputs depend on its constants alone": (
        lambda w: lax.scan(lambda c, _: (c, jnp.sin(w) * 2), None, None, length=3)[1],
        [arrays((2,))],
    ),
    "cond": (lambda x, y: lax.cond(x[0] > 0, lambda a, b: jnp.sin(a) * b, lambda a, b: a * 2 + 0 * b, x, y), arrays((3,), (3,))),
    "switch in a scan": (
        lambda x: lax.scan(lambda c, i: (lax.switch(i % 3, [jnp.sin, lambda a: a * a, lambda a: a * x], c), c), x, jnp.arange(5)),
        [arrays((3,))],
    ),
    "checkpoint": (jax.checkpoint(lambda x, w: jnp.sin(jnp.tanh(x @ w)) @ w), arrays((2, 3), (3, 3))),
    "checkpoint that saves by name": (
        jax.checkpoint(
            lambda x: jnp.tanh(checkpoint_name(jnp.sin(x) * x, "kept")) * x, policy=jax.checkpoint_policies.save_only_these_names("kept")
        ),
        [arrays((3,))],
    ),
    "checkpoint that saves products": (
        jax.checkpoint(lambda x, w: jnp.sin(jnp.sin(x @ w) @ w), policy=jax.checkpoint_policies.dots_saveable),
        arrays((2, 3), (3, 3)),
    ),
    "checkpoint in a scan": (lambda x: lax.scan(jax.checkpoint(lambda c, a: (jnp.sin(c * a), c * x)), x, x), [arrays((3,))]),
    "inner vmap": (lambda x, w: jax.vmap(lambda r: jnp.tanh(w @ r))(x), arrays((4, 3), (2, 3))),
    "inner grad": (lambda x: jax.grad(lambda y: jnp.sum(jnp.sin(y) ** 3))(x) * x, [arrays((3,))]),
    "custom_jvp": (lambda x, y: odd_jvp(x, y) * x, arrays((3,), (3,))),
    "custom_jvp with one active input": (lambda x: odd_jvp(x, jnp.ones(3)), [arrays((3,))]),
    "custom_jvp under vmap": (lambda x, y: jax.vmap(odd_jvp, (0, None))(x, y), arrays((4, 3), (3,))),
    "custom_jvp of which one tangent cannot be transposed": (lambda x: half_differentiable(x)[0], [arrays((3,))]),
    "the same under checkpoint": (lambda x: jax.checkpoint(half_differentiable)(x)[0], [arrays((3,))]),
    "custom_vjp": (lambda x, y: odd_vjp(x, y)[0] * odd_vjp(y, x)[1], arrays((3,), (3,))),
    "custom_vjp under vmap": (lambda x, y: jax.vmap(odd_vjp)(x, y), arrays((4, 3), (4, 3))),
    "custom_vjp in a scan": (lambda x: lax.scan(lambda c, a: (odd_vjp(c, a)[0], c), x, jnp.ones((4, 3))), [arrays((3,))]),
    "straight-through": (lambda x: straight_through(x) * x, [arrays((5,))]),
    "gradient reversal": (lambda x: reversal(x) * x, [arrays((5,))]),
    "relu and relu6 at their edges": (lambda x: (jax.nn.relu(x), jax.nn.relu6(x)), [np.array([-1.0, 0.0, 3.0, 6.0, 7.0])]),
    "logsumexp of -inf and of large": (lambda x: jax.nn.logsumexp(x, axis=-1), [np.array([[1e4, 1e4, 0.0], [-jnp.inf, 0.0, 1.0]])]),
    "logaddexp at equal and far": (lambda x, y: jnp.logaddexp(x, y), [np.array([0.0, 1e4, -1e4]), np.array([0.0, 1e4, 1e4])]),
    "while over data alone": (lambda x: x * lax.while_loop(lambda i: i < 3, lambda i: i + 1, 0), [arrays((3,))]),
    "stop_gradient": (lambda x: lax.stop_gradient(x) * x, [arrays((3,))]),
}


@pytest.mark.parametrize("case", CASES)
def test_hand_agrees_with_jax(case):
    f, args = CASES[case]
    agree(f, *jax.tree.map(jnp.asarray, args))


@pytest.mark.parametrize(
    "case", ["scan with captured weights", "cond", "checkpoint", "custom_jvp", "a tied RNN with w.T in its body", "inner jit"]
)
def test_composes_with_jit_vmap_and_a_second_derivative(case):
    f, args = CASES[case]
    args = jax.tree.map(jnp.asarray, args)

    def loss(*args):
        return sum(jnp.sum(jnp.sin(o)) for o in jax.tree.leaves(f(*args)) if jnp.issubdtype(o.dtype, jnp.floating))

    batch = jax.tree.map(lambda a: jnp.stack([a, a * 0.5, -a]), args)
    hand = jax.jit(jax.vmap(bpjax.grad(loss)))(*batch)
    auto = jax.jit(jax.vmap(jax.grad(loss)))(*batch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13), hand, auto)

    def slope(gradient):
        return lambda *args: sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient(loss)(*args)))

    expected = jax.jit(jax.grad(slope(jax.grad)))(*args)
    for outer, inner in ((bpjax.grad, bpjax.grad), (jax.grad, bpjax.grad), (bpjax.grad, jax.grad)):
        got = jax.jit(outer(slope(inner)))(*args)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11), got, expected)


def test_hessian_vector_products_three_ways():
    w, x, v = arrays((3, 3), (4, 3), (3, 3))

    def loss(w):
        return jnp.sum(jnp.tanh(x @ w) ** 2)

    forward_over_hand = jax.jvp(bpjax.grad(loss), (w,), (v,))[1]
    hand_over_hand = bpjax.grad(lambda w: jnp.vdot(bpjax.grad(loss)(w), v))(w)
    auto = jax.grad(lambda w: jnp.vdot(jax.grad(loss)(w), v))(w)
    np.testing.assert_allclose(forward_over_hand, auto, rtol=1e-12)
    np.testing.assert_allclose(hand_over_hand, auto, rtol=1e-12)


def test_training_steps_in_a_scan():
    w, x = arrays((3, 3), (4, 3))

    def train(gradient):
        return lax.scan(lambda w, _: (w - 0.1 * gradient(lambda w: jnp.sum(jnp.tanh(x @ w) ** 2))(w), None), w, None, length=5)[0]

    np.testing.assert_allclose(jax.jit(train, static_argnums=0)(bpjax.grad), train(jax.grad), rtol=1e-12)


def test_argnums_and_aux():
    def f(x, label, y):
        return jnp.sum(x * y), {"label": label, "twice": 2 * x}

    x, y = arrays((3,), (3,))
    (value, aux), (dx, dy) = bpjax.value_and_grad(f, argnums=(0, 2), has_aux=True)(x, "a string", y)
    assert aux["label"] == "a string"
    np.testing.assert_allclose(value, jnp.sum(x * y))
    np.testing.assert_allclose(dx, y)
    np.testing.assert_allclose(dy, x)
    np.testing.assert_allclose(aux["twice"], 2 * x)


def test_key_leaves_get_float0():
    def f(x, key):
        return x * jax.random.uniform(key, x.shape)

    _, back = bpjax.vjp(f, arrays((3,)), jax.random.key(0))
    assert back(jnp.ones(3))[1].dtype == jax.dtypes.float0


def test_as_custom_vjp_gives_jax_the_hand_written_derivative():
    w, x = arrays((3, 3), (4, 3))

    def f(w):
        return jnp.sum(bpjax.as_custom_vjp(lambda w: jnp.tanh(x @ w) * w[0])(w) ** 2)

    np.testing.assert_allclose(jax.grad(f)(w), jax.grad(lambda w: jnp.sum((jnp.tanh(x @ w) * w[0]) ** 2))(w), rtol=1e-12)


def test_as_custom_vjp_differentiates_what_is_closed_over():
    x = arrays((3,))
    by_hand = jax.grad(lambda w: jnp.sum(bpjax.as_custom_vjp(lambda x: jnp.sin(w * x))(x)))(x)
    np.testing.assert_allclose(by_hand, x * jnp.cos(x * x), rtol=1e-12)


def test_as_custom_vjp_takes_keywords_flags_and_other_outputs():
    @bpjax.as_custom_vjp
    def f(x, n, *, negate=False):
        y = x**n
        return (-y if negate else y), "a string", jnp.arange(n)

    x = arrays((3,))
    assert f(x, 2)[1] == "a string" and f(x, 2)[2].tolist() == [0, 1]
    np.testing.assert_allclose(jax.jit(jax.grad(lambda x: f(x, 3, negate=True)[0].sum()))(x), -3 * x**2, rtol=1e-12)


def test_argnums_of_numpy_and_a_list_for_aux():
    value, aux = bpjax.grad(lambda x, y: [x * y, "aux"], argnums=np.int64(-1), has_aux=True)(2.0, 3.0)
    assert value == 2 and aux == "aux"


def test_a_tag_that_no_gradient_reaches_has_a_zero_delta():
    result = bpjax.backprop(lambda x: x * lax.stop_gradient(bpjax.tag(x * 2, "dead")))(3.0)
    assert result.deltas["dead"] == 0 and result.grads == 6


def test_deltas_are_named_counted_and_stacked():
    def f(x):
        h = bpjax.tag(x * x, "square")
        h = bpjax.tag(h * 3, "square")
        out, _ = lax.scan(lambda c, a: (bpjax.tag(c * a, "step"), None), 1.0, h)
        return out

    x = jnp.array([1.0, 2.0, 3.0])
    result = bpjax.backprop(f)(x)
    assert isinstance(result.deltas["square"], tuple) and len(result.deltas["square"]) == 2
    h = 3 * x * x
    np.testing.assert_allclose(result.deltas["square"][1], f(x) / h)
    np.testing.assert_allclose(result.deltas["step"], [h[1] * h[2], h[2], 1.0])
    np.testing.assert_allclose(result.grads, jax.grad(f)(x))


def test_deltas_inside_a_cond():
    def f(x):
        y = lax.cond(x > 0, lambda x: bpjax.tag(x * 2.0, "inside") ** 2, lambda x: 5 * x, x)
        return bpjax.tag(y, "after") * 3

    for x, inside, grad in [(3.0, 36.0, 72.0), (-1.0, 0.0, 15.0)]:
        for run in (bpjax.backprop(f), jax.jit(bpjax.backprop(f))):
            result = run(x)
            assert (float(result.deltas["inside"]), float(result.deltas["after"]), float(result.grads)) == (inside, 3.0, grad)


def test_deltas_of_one_name_in_two_branches_inside_a_scan():
    def f(x):
        branches = [lambda c: bpjax.tag(c * 2.0, "branch"), lambda c: bpjax.tag(c * 3.0, "branch")]
        return lax.scan(lambda c, i: (lax.switch(i, branches, c), None), x, jnp.array([0, 1]))[0]

    result = bpjax.backprop(f)(1.0)
    assert float(result.grads) == 6.0
    assert sorted(d.tolist() for d in result.deltas["branch"]) == [[0.0, 1.0], [3.0, 0.0]]
