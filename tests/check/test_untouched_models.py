"""Equinox and Flax models that know nothing of bpjax pass the check whole."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import bpjax

key = jax.random.key(0)
labels = jnp.arange(4) % 3


def data(*shape):
    return jax.random.normal(jax.random.key(1), shape)


def loss_of(logits):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1).mean()


class Recurrent(eqx.Module):
    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear

    def __init__(self, key):
        self.cell, self.head = eqx.nn.GRUCell(3, 5, key=key), eqx.nn.Linear(5, 3, key=key)

    def __call__(self, xs):
        h, _ = jax.lax.scan(lambda h, x: (self.cell(x, h), None), jnp.zeros(5, xs.dtype), xs)
        return self.head(h)


class Attention(eqx.Module):
    attention: eqx.nn.MultiheadAttention
    norm: eqx.nn.LayerNorm

    def __init__(self, key):
        self.attention, self.norm = eqx.nn.MultiheadAttention(2, 6, key=key), eqx.nn.LayerNorm(6)

    def __call__(self, x):
        causal = jnp.tril(jnp.ones((len(x), len(x)), bool))
        return jax.vmap(self.norm)(x + self.attention(x, x, x, causal)).mean(0)[:3]


class Convolutional(eqx.Module):
    conv: eqx.nn.Conv2d
    pool: eqx.nn.MaxPool2d
    head: eqx.nn.Linear

    def __init__(self, key):
        self.conv, self.pool = eqx.nn.Conv2d(2, 4, 3, stride=1, padding=1, key=key), eqx.nn.MaxPool2d(2, 2)
        self.head = eqx.nn.Linear(36, 3, key=key)

    def __call__(self, x):
        return self.head(jax.nn.relu(self.pool(self.conv(x))).ravel())


EQUINOX = {
    "MLP": (lambda: eqx.nn.MLP(4, 3, 8, 2, key=key), (4, 4)),
    "attention": (lambda: Attention(key), (4, 5, 6)),
    "GRU in a scan": (lambda: Recurrent(key), (4, 6, 3)),
    "convolution": (lambda: Convolutional(key), (4, 2, 6, 6)),
}


@pytest.mark.parametrize("name", EQUINOX)
def test_equinox(name):
    make, shape = EQUINOX[name]
    params, static = eqx.partition(make(), eqx.is_inexact_array)
    x = data(*shape)
    report = bpjax.check_gradients(lambda params: loss_of(jax.vmap(eqx.combine(params, static))(x)), params)
    report.assert_ok()


class Perceptron(nnx.Module):
    def __init__(self, rngs):
        self.first, self.second = nnx.Linear(4, 8, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.second(nnx.relu(self.first(x)))


class Normalized(nnx.Module):
    def __init__(self, rngs):
        self.conv, self.norm = nnx.Conv(2, 4, (3, 3), rngs=rngs), nnx.BatchNorm(4, rngs=rngs)
        self.head = nnx.Linear(36, 3, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.norm(self.conv(x)))
        return self.head(nnx.avg_pool(x, (2, 2), (2, 2)).reshape(len(x), -1))


class Transformer(nnx.Module):
    def __init__(self, rngs):
        self.before, self.after = nnx.LayerNorm(8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(num_heads=2, in_features=8, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(8, 16, rngs=rngs), nnx.Linear(16, 8, rngs=rngs)

    def __call__(self, x):
        x = x + self.attention(self.before(x), mask=nnx.make_causal_mask(jnp.ones(x.shape[:2])))
        x = x + self.down(nnx.gelu(self.up(self.after(x))))
        return x.mean(1)[:, :3]


FLAX = {"MLP": (Perceptron, (4, 4)), "CNN with BatchNorm": (Normalized, (4, 6, 6, 2)), "transformer block": (Transformer, (4, 5, 8))}


@pytest.mark.parametrize("name", FLAX)
def test_flax_nnx(name):
    kind, shape = FLAX[name]
    graph, params, rest = nnx.split(kind(nnx.Rngs(0)), nnx.Param, ...)
    x = data(*shape)
    bpjax.check_gradients(lambda params: loss_of(nnx.merge(graph, params, rest, copy=True)(x)), params).assert_ok()
