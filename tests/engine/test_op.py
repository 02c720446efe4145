"""Ops are recognised by identity, keep little, and cost jax.grad nothing."""

import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import bpjax


def make(calls):
    """An op with a static argument and an optional array, whose backward counts its calls."""

    @bpjax.op(static=("power",))
    def scaled_power(x, power, scale=None):
        y = x**power
        return y if scale is None else y * scale

    @scaled_power.def_forward
    def _(x, power, scale=None):
        return scaled_power.formula(x, power, scale), {"x": x, "power": power, "scale": scale}

    @scaled_power.def_backward
    def _(saved, dy):
        calls.append(1)
        x, n, scale = saved["x"], saved["power"], saved["scale"]
        dx = dy * n * x ** (n - 1)
        return (dx, None) if scale is None else (dx * scale, jnp.sum(dy * x**n))

    return scaled_power


x = jnp.array([0.5, 1.0, 2.0])
scale = jnp.float32(1.5)

PLACES = {
    "alone": (lambda op: lambda x: op(x, 3).sum(), True),
    "with its optional argument": (lambda op: lambda x: op(x, 3, x[0]).sum(), True),
    "under jit": (lambda op: jax.jit(lambda x: op(x, 3).sum()), True),
    "in a scan": (lambda op: lambda x: lax.scan(lambda c, a: (op(c, 2) * a, None), x, x)[0].sum(), True),
    "in a cond": (lambda op: lambda x: lax.cond(x[0] > 0, lambda a: op(a, 3), lambda a: a, x).sum(), True),
    "in a checkpoint": (lambda op: lambda x: jax.checkpoint(lambda a: op(a, 3))(x).sum(), True),
    "at another matmul precision": (lambda op: lambda x: jax.default_matmul_precision("highest")(lambda: op(x, 3).sum())(), True),
    "on a device of its own": (lambda op: lambda x: jax.default_device(jax.devices()[0])(lambda: op(x, 3).sum())(), True),
    "under an inner vmap": (lambda op: lambda x: jax.vmap(lambda a: op(x, 3, a))(x).sum(), False),
    "under an inner grad at equal shapes": (lambda op: lambda x: jnp.sum(jax.grad(lambda a: op(a, 3).sum())(x) * x), False),
    "under an inner jvp at equal shapes": (lambda op: lambda x: jax.jvp(lambda a: op(a, 3), (x,), (x,))[1].sum(), False),
}


@pytest.mark.parametrize("place", PLACES)
def test_gradient_is_right_and_the_op_recognised_where_it_can_be(place):
    calls = []
    build, is_recognised = PLACES[place]
    f = build(make(calls))
    hand = bpjax.grad(f)(x)
    assert bool(calls) == is_recognised
    np.testing.assert_allclose(hand, jax.grad(f)(x), rtol=1e-5)


def test_jax_never_sees_the_written_backward():
    calls = []
    op = make(calls)
    jax.grad(lambda x: op(x, 3).sum())(x)
    jax.jit(jax.grad(lambda x: op(x, 3).sum()))(x)
    assert not calls


def test_halves_are_public():
    op = make([])
    y, saved = op.forward(x, 3)
    dx, dscale = op.backward(saved, jnp.ones(3))
    np.testing.assert_allclose(y, x**3)
    np.testing.assert_allclose(dx, 3 * x**2)
    assert dscale is None


def test_a_pull_back_outlives_its_op():
    def pull():
        op = make([])
        return bpjax.vjp(lambda x: op(x, 3), x)[1]

    back = pull()
    gc.collect()
    np.testing.assert_allclose(back(jnp.ones(3))[0], 3 * x**2)


def test_arguments_must_have_names():
    for formula in (lambda x, /: x, lambda *xs: xs, lambda **xs: xs):
        with pytest.raises(TypeError, match="cannot be bound by name"):
            bpjax.op(formula)


def test_two_ops_of_one_name_are_kept_apart():
    first, second = make([]), make([])
    np.testing.assert_allclose(bpjax.grad(lambda x: (first(x, 2) * second(x, 3)).sum())(x), 5 * x**4, rtol=1e-6)


def test_a_static_argument_must_be_hashable():
    with pytest.raises(TypeError, match="static argument 'power' must be hashable"):
        make([])(x, jnp.ones(3))
