"""Activations in 16 bits: float16, whose largest number is 65504, and bfloat16, which has 8 bits of precision."""

import jax
import jax.numpy as jnp
import pytest

import bpjax
import bpjax.functional as F


@pytest.mark.parametrize("name", ["gelu", "gelu tanh", "softplus", "mish", "silu", "logsigmoid", "softmax", "log_softmax"])
def test_float16_does_not_overflow(name):
    options = {"gelu tanh": {"approximate": "tanh"}, "softmax": {"dim": 0}, "log_softmax": {"dim": 0}}.get(name, {})
    f = lambda x: getattr(F, name.split()[0])(x, **options)
    far = jnp.array([-1e4, -300.0, -12.0, 15.0, 300.0, 1e4], jnp.float16)
    y, back = jax.vjp(f, far)
    (dx,) = bpjax.vjp(f, far)[1](jnp.ones_like(y))
    assert jnp.isfinite(y).all() and jnp.isfinite(dx).all()
    assert jnp.allclose(dx, back(jnp.ones_like(y))[0], atol=2e-3)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("name", "sigmoid tanhshrink softplus hardsigmoid hardswish gelu silu logsigmoid mish glu".split())
def test_16_bits_are_rounded_once(name, dtype):
    """That of the float32 result: sums such as x - tanh(x) and 1 + exp(-x) would lose most of it on the way."""
    x = jnp.linspace(-4, 4, 200).astype(dtype)
    f = getattr(F, name)
    exact = f(x.astype(jnp.float32))
    eps, tiny = float(jnp.finfo(dtype).eps), float(jnp.finfo(dtype).tiny)
    assert (jnp.abs(f(x) - exact) <= eps * jnp.maximum(jnp.abs(exact), tiny)).all()
    dy, pull = jnp.ones(exact.shape), lambda v: bpjax.vjp(f, v)[1](dy.astype(v.dtype))[0]
    assert jnp.abs(pull(x) - pull(x.astype(jnp.float32))).max() <= eps
