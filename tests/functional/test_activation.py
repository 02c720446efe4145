"""Activations in float16, whose largest number is 65504."""

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
