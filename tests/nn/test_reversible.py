"""Reversible layers: what they save, and what they refuse."""

import re

import jax
import jax.numpy as jnp
import pytest

import bpjax
from bpjax import nn


def half():
    return nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU())


def temporary_bytes(model, value_and_grad):
    params, x = model.init(jax.random.key(0)), jnp.ones((256, 128))
    f = value_and_grad(lambda params, x: jnp.sum(model.apply(params, x) ** 2))
    return jax.jit(f).lower(params, x).compile().memory_analysis().temp_size_in_bytes


def test_the_memory_does_not_grow_with_depth():
    shallow, deep = (temporary_bytes(nn.Reversible(half(), half(), n), bpjax.value_and_grad) for n in (4, 16))
    weights = 2 * 12 * (64 * 64 + 4 * 64) * 4  # the gradients of 12 layers more
    assert deep - shallow <= weights
    assert deep < 0.3 * temporary_bytes(nn.Reversible(half(), half(), 16), jax.value_and_grad)


def test_a_lean_repeat_keeps_less():
    fast, lean = (temporary_bytes(nn.Repeat(nn.Sequential(nn.Linear(128, 128), nn.GELU()), 8, how), bpjax.grad) for how in ("fast", "lean"))
    assert lean < 0.8 * fast


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: nn.Reversible(3, nn.ReLU(), 2), TypeError, "Reversible: expected a module as f, got int"),
        (lambda: nn.Reversible(nn.ReLU(), nn.LazyLinear(3), 2), ValueError, "Reversible: g has no sizes yet (LazyLinear)"),
        (lambda: nn.Reversible(nn.BatchNorm1d(3), nn.ReLU(), 2), ValueError, "f has the buffers running_mean, running_var"),
        (lambda: nn.Reversible(nn.ReLU(), nn.ReLU(), 0), ValueError, "num_layers must be a whole number, at least 1, got 0"),
        (lambda: nn.Reversible(nn.ReLU(), nn.ReLU(), 2)(jnp.ones((2, 3))), ValueError, "even axis -1, got shape (2, 3)"),
        (lambda: nn.Reversible(nn.ReLU(), nn.ReLU(), 2, dim=2)(jnp.ones((2, 4))), ValueError, "even axis 2, got shape (2, 4)"),
        (lambda: nn.Repeat(nn.ReLU(), 2, "small"), ValueError, "Repeat: memory must be 'fast' or 'lean', got 'small'"),
        (
            lambda: applied(nn.Linear(2, 1), nn.ReLU()),
            ValueError,
            '"0" (Reversible): reversible: f must return what it takes, float32[3, 2], and returned float32[3, 1]',
        ),
    ],
)
def test_refused(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()


def applied(f, g):
    model = nn.Sequential(nn.Reversible(f, g, 2))
    return model.apply(model.init(jax.random.key(0)), jnp.ones((3, 4)))


def test_without_parameters():
    model, x = nn.Reversible(nn.Tanh(), nn.Sigmoid(), 3), jnp.linspace(-1.0, 1.0, 8).reshape(2, 4)
    f = lambda x: jnp.sum(model.apply({}, x) ** 2)
    assert jnp.allclose(bpjax.grad(f)(x), jax.grad(f)(x), rtol=1e-5)


def test_a_block_that_is_changed_later_does_not_change_the_layers():
    drop = nn.Dropout(0.5)
    model, x, key = nn.Reversible(nn.Sequential(drop), nn.Tanh(), 2), jnp.ones((2, 4)), jax.random.key(0)
    before = model.apply({}, x, train=True, rng=key)
    drop.p = 0.0
    assert (model.apply({}, x, train=True, rng=key) == before).all()


def test_printing():
    assert repr(nn.Reversible(nn.Tanh(), nn.Sigmoid(), 6)) == "Reversible(\n  (f): 6 x Tanh()\n  (g): 6 x Sigmoid()\n)"
