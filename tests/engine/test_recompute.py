"""Outputs that are recomputed on the way back instead of being kept."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from op_cases import CASES
from verdict import assert_same, on_device

import bpjax
import bpjax.functional as F
from bpjax.engine import Op, run
from bpjax.program import jaxprs

OPS = [c for c in CASES if c.first and isinstance(getattr(F, c.op), Op) and getattr(F, c.op)._recompute is not None]


def kept_by(f, *args):
    """The shapes of the arrays on the tape."""
    program, consts = jaxprs.trace(f, *args)
    _, tape = run(program, [*consts, *args], [False] * len(consts) + [True] * len(args))
    return [jnp.shape(leaf) for leaf in jax.tree.leaves(tape)]


def test_what_can_be_recomputed_is_not_kept():
    kept = kept_by(lambda x: jnp.sum(F.gelu(x) ** 2), jnp.ones(3))
    plain = kept_by(lambda x: jnp.sum(jax.nn.gelu(x) ** 2), jnp.ones(3))
    assert len(kept) == 1 < len(plain)


def test_a_chain_is_recomputed_from_its_beginning():
    x = jnp.ones((2, 3))
    kept = kept_by(lambda x: jnp.sum(F.silu(F.layer_norm(x, (3,))) ** 2), x)
    assert sorted(kept) == [(2, 1), (2, 1), (2, 3)]  # the mean, 1 / the deviation, and x


def test_relu_is_recomputed_of_what_is_recomputed_alone():
    x = jnp.linspace(-1.0, 1.0, 48).reshape(6, 8)
    kept = kept_by(lambda x: jnp.sum(F.relu(F.layer_norm(x, (8,))) ** 2), x)
    assert sorted(kept) == [(6, 1), (6, 1), (6, 1), (6, 8)]  # the mean, 1 / the deviation, the mask in bits, and x
    assert sorted(kept_by(lambda x: jnp.sum(F.relu(x) ** 2), x)) == [(6, 1), (6, 8)]  # the mask, and the value, which the square keeps


def test_what_changes_the_layout_alone_is_recomputed_too():
    x, W = jnp.ones((2, 3, 4)), jnp.ones((5, 12))
    kept = kept_by(lambda x, W: jnp.sum(F.linear(F.gelu(x).swapaxes(0, 1).reshape(3, 2, 4)[None].reshape(2, 12), W)), x, W)
    assert sorted(kept) == [(2, 3, 4), (5, 12)]


def test_the_output_of_attention_is_kept_once():
    q, W = jnp.ones((2, 8, 4)), jnp.ones((3, 8))  # two heads
    attend = lambda q: F.scaled_dot_product_attention(q, q, q).swapaxes(0, 1).reshape(8, 8)
    kept = kept_by(lambda q, W: jnp.sum(F.linear(attend(q), W)), q, W)
    assert sorted(kept) == [(2, 8, 1)] + [(2, 8, 4)] * 4 + [(3, 8)]  # log Σ exp, q, k, v and o, and the weights


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("activation", [F.relu, F.relu6, F.leaky_relu])
def test_what_follows_from_what_is_recomputed(activation):
    """In a chain, twice used, in a scan, at second order, under vmap; jitted and not."""
    x, W = jnp.linspace(-2.0, 9.0, 12).reshape(3, 4), jnp.linspace(-1.0, 1.2, 16).reshape(4, 4)

    def loss(x, W):
        y = activation(F.layer_norm(F.linear(x, W), (4,)))
        y = jax.lax.scan(lambda y, _: (F.linear(activation(F.silu(y)), W), None), y + jnp.sin(y), length=2)[0]
        return jnp.sum(y * activation(F.rms_norm(y, (4,))) ** 2)

    def every(grad):
        second = grad(lambda x, W: sum(jnp.sum(jnp.cos(g)) for g in grad(loss, (0, 1))(x, W)), (0, 1))
        return [*grad(loss, (0, 1))(x, W), *second(x, W), jax.vmap(grad(loss), (0, None))(jnp.stack([x, -x]), W)]

    assert_same(*jax.jit(lambda: [every(grad) for grad in (bpjax.grad, jax.grad)])(), relative=1e-8)
    assert_same(bpjax.grad(loss, (0, 1))(x, W), jax.grad(loss, (0, 1))(x, W))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case", OPS, ids=[c.id for c in OPS])
def test_it_is_the_output(case):
    """Through a square, whose rule needs the output: jitted, so that XLA sees both."""
    args = on_device(case.args)
    loss = lambda *args: jnp.sum(case.f(*args) ** 2)
    numbers = tuple(range(len(args)))
    assert_same(*jax.jit(lambda *args: [g(loss, numbers)(*args) for g in (bpjax.grad, jax.grad)])(*args), relative=1e-9)


@pytest.mark.usefixtures("x64")
def test_in_scan_checkpoint_cond_and_at_second_order():
    x, W = jnp.linspace(-1.0, 2.0, 12).reshape(3, 4), jnp.linspace(-1.0, 1.0, 16).reshape(4, 4)

    def block(x):
        return jnp.tanh(F.linear(F.gelu(F.linear(F.layer_norm(x, (4,)), W)), W))

    def loss(x):
        x, _ = jax.lax.scan(lambda x, _: (block(x), None), x, length=3)
        x = jax.checkpoint(block)(x)
        return jnp.sum(jax.lax.cond(x[0, 0] > 0, block, lambda x: -block(x), x) ** 2)

    assert_same([bpjax.grad(loss)(x)], [jax.grad(loss)(x)])
    twice = lambda g: g(lambda x: jnp.sum(jnp.sin(g(loss)(x))))
    assert_same([twice(bpjax.grad)(x)], [twice(jax.grad)(x)], relative=1e-9)


def test_a_cotangent_that_is_not_finite_stays_where_it_is():
    x = jnp.array([0.5, 1.0])
    back = bpjax.vjp(lambda x: F.gelu(x) ** 2, x)[1]
    assert np.isfinite(np.asarray(back(jnp.array([1.0, jnp.inf]))[0])).tolist() == [True, False]


def test_a_long_chain():
    def f(x):
        for _ in range(600):
            x = F.hardswish(x)
        return jnp.sum(x * x)

    assert bpjax.grad(f)(4.0) == jax.grad(f)(4.0)


@pytest.mark.parametrize(
    ("recompute", "words"),
    [
        (lambda saved: saved["x"].sum(), r"the recompute of half \(.*\) returned the value float32\[\]; the formula returns float32\[3\]"),
        (lambda saved: saved["nothing"], "the recompute of half .* raised KeyError"),
    ],
)
def test_what_breaks_the_contract_is_named(recompute, words):
    @bpjax.op
    def half(x):
        return x / 2

    half.def_forward(lambda x: (x / 2, {"x": x}))
    half.def_backward(lambda saved, dy: (dy / 2,))
    half.def_recompute(recompute)
    with pytest.raises(bpjax.engine.RuleError, match=words):
        bpjax.grad(lambda x: jnp.sum(half(x) ** 2))(jnp.ones(3))


def test_a_pytree_that_converts_what_it_holds_can_be_saved():
    @jax.tree_util.register_pytree_node_class
    class Box:
        def __init__(self, a):
            self.a = jnp.asarray(a)

        def tree_flatten(self):
            return (self.a,), None

        @classmethod
        def tree_unflatten(cls, _, children):
            return cls(*children)

    @bpjax.op
    def square(x):
        return x * x

    square.def_forward(lambda x: (x * x, {"box": Box(x)}))
    square.def_backward(lambda saved, dy: (2 * saved["box"].a * dy,))
    f = lambda x: jnp.sum(square(F.gelu(x)))
    x = jnp.ones(3)
    assert jnp.allclose(bpjax.grad(f)(x), jax.grad(f)(x), rtol=1e-6)
