"""Equinox: layers with a state, dropout, attention, recurrences by an associative scan, and an operator in Fourier space."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from agreement import agree, normal

pytestmark = pytest.mark.usefixtures("x64")
keys = lambda n: jax.random.split(jax.random.key(0), n)


def trained(model, loss):
    """`loss` of the model, as a function of its arrays."""
    params, static = eqx.partition(model, eqx.is_inexact_array)
    return lambda params: loss(eqx.combine(params, static)), params


def batch_norm():
    """Statistics of the batch, by a named axis, and a state that is handed on."""

    class Net(eqx.Module):
        conv: eqx.nn.Conv2d
        norm: eqx.nn.BatchNorm
        spectral: eqx.nn.SpectralNorm

        def __call__(self, x, state):
            x, state = self.norm(self.conv(x), state)
            return self.spectral(jax.nn.relu(x).mean((1, 2)), state)

    a, b, c = keys(3)
    linear = eqx.nn.SpectralNorm(eqx.nn.Linear(4, 3, key=b, dtype=float), "weight", key=c)
    model, state = eqx.nn.make_with_state(Net)(
        eqx.nn.Conv2d(2, 4, 3, key=a, dtype=float), eqx.nn.BatchNorm(4, "batch", mode="batch"), linear
    )

    def loss(model):
        y, _ = jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(normal(1, 5, 2, 6, 6), state)
        return jnp.sum(y**2)

    return trained(model, loss)


def transformer():
    """Attention and an MLP with dropout, each around a norm."""

    class Block(eqx.Module):
        attention: eqx.nn.MultiheadAttention
        norms: list
        up: eqx.nn.Linear
        down: eqx.nn.Linear
        dropout: eqx.nn.Dropout

        def __call__(self, x, key):
            a, b = jax.random.split(key)
            y = jax.vmap(self.norms[0])(x)
            x = x + self.attention(y, y, y, jnp.tril(jnp.ones((len(x), len(x)), bool)), key=a)
            y = jax.vmap(self.down)(jax.nn.gelu(jax.vmap(self.up)(jax.vmap(self.norms[1])(x))))
            return x + self.dropout(y, key=b)

    a, b, c = keys(3)
    block = Block(
        eqx.nn.MultiheadAttention(2, 8, dropout_p=0.2, key=a, dtype=float),
        [eqx.nn.LayerNorm(8, dtype=float), eqx.nn.RMSNorm(8, dtype=float)],
        eqx.nn.Linear(8, 16, key=b, dtype=float),
        eqx.nn.Linear(16, 8, key=c, dtype=float),
        eqx.nn.Dropout(0.3),
    )
    return trained(block, lambda block: jnp.sum(jax.vmap(block)(normal(1, 3, 5, 8), keys(3)) ** 2))


def recurrent(cell):
    def loss(cell):
        start = jnp.zeros(5) if isinstance(cell, eqx.nn.GRUCell) else (jnp.zeros(5), jnp.zeros(5))
        end, _ = jax.lax.scan(lambda h, x: (cell(x, h), None), start, normal(1, 7, 3))
        return sum(jnp.sum(h**2) for h in jax.tree.leaves(end))

    return trained(cell(3, 5, key=jax.random.key(0), dtype=float), loss)


def rotary():
    """Embedded, turned by position, and a loss in a checkpointed scan over equal blocks."""

    class Model(eqx.Module):
        embed: eqx.nn.Embedding
        blocks: eqx.nn.Linear
        rope: eqx.nn.RotaryPositionalEmbedding

        def __call__(self, tokens):
            arrays, static = eqx.partition(self.blocks, eqx.is_array)

            @eqx.filter_checkpoint
            def block(x, arrays):
                return x + jnp.tanh(jax.vmap(eqx.combine(arrays, static))(self.rope(x))), None

            return jax.lax.scan(block, jax.vmap(self.embed)(tokens), arrays)[0]

    blocks = eqx.filter_vmap(lambda key: eqx.nn.Linear(4, 4, key=key, dtype=float))(keys(3))
    model = Model(eqx.nn.Embedding(9, 4, key=jax.random.key(1), dtype=float), blocks, eqx.nn.RotaryPositionalEmbedding(4))
    return trained(model, lambda model: jnp.sum(model(jnp.array([1, 5, 2, 2, 8])) ** 2))


def linear_recurrence(seen, a):
    """h = a h + x for every step at once."""
    combine = lambda left, right: (right[0] * left[0], right[0] * left[1] + right[1])
    return jax.lax.associative_scan(combine, (jnp.broadcast_to(a, seen.shape), seen))[1]


def lru():
    """Orvieto's linear recurrent unit: a complex diagonal in the unit circle, by its logarithms."""

    def loss(p):
        radius = jnp.exp(-jnp.exp(p["nu"]))
        diagonal = radius * jnp.exp(1j * jnp.exp(p["theta"]))
        seen = normal(9, 12, 3) @ (p["B"][0] + 1j * p["B"][1]).T * jnp.sqrt(1 - radius**2)
        states = linear_recurrence(seen, diagonal)
        return jnp.sum(jnp.tanh((states @ (p["C"][0] + 1j * p["C"][1]).T).real) ** 2)

    return loss, {"nu": normal(0, 4), "theta": normal(1, 4), "B": normal(2, 2, 4, 3), "C": normal(3, 2, 2, 4)}


def s5():
    """Smith's state space: complex parameters, discretized by zero-order hold; the layer is gated."""

    def loss(p):
        a, step = -jnp.exp(p["real"]) + 1j * p["imag"], jnp.exp(p["step"])
        kept = jnp.exp(a * step)
        states = linear_recurrence(p["u"] @ ((kept - 1) / a * p["B"].T), kept)
        y = 2 * (states @ p["C"].T).real + p["D"] * p["u"]
        return jnp.mean(jax.nn.gelu(y) * jax.nn.sigmoid(y @ p["gate"]))

    of = lambda seed, *shape: normal(seed, *shape) + 1j * normal(seed + 50, *shape)
    real = {
        "real": normal(0, 4),
        "imag": normal(1, 4),
        "step": normal(2, 4) - 2,
        "D": normal(3, 3),
        "gate": normal(4, 3, 3),
        "u": normal(5, 10, 3),
    }
    return loss, real, {"B": of(6, 4, 3), "C": of(7, 3, 4)}


def fourier_operator():
    """Li's Fourier neural operator: the lowest modes times complex weights, beside a pointwise map."""

    def layer(p, x):
        modes = jnp.fft.rfft2(x, axes=(0, 1))
        low = [jnp.einsum("xyi,xyio->xyo", part, w) for part, w in ((modes[:3, :3], p["up"]), (modes[-3:, :3], p["down"]))]
        out = jnp.zeros((*modes.shape[:2], x.shape[-1]), modes.dtype).at[:3, :3].set(low[0]).at[-3:, :3].set(low[1])
        return jax.nn.gelu(jnp.fft.irfft2(out, x.shape[:2], axes=(0, 1)) + x @ p["w"])

    of = lambda seed: (normal(seed, 3, 3, 2, 2) + 1j * normal(seed + 50, 3, 3, 2, 2)) / 4
    layers = [{"up": of(i), "down": of(i + 1), "w": normal(i + 2, 2, 2)} for i in (0, 3)]
    return lambda p: jnp.sum(layer(p[1], layer(p[0], normal(9, 8, 8, 2))) ** 2), layers


def complex_params(loss, real, complex_):
    return lambda p: loss(p[0] | p[1]), (real, complex_)


PROGRAMS = {
    "BatchNorm and SpectralNorm, with their state": batch_norm,
    "attention with dropout": transformer,
    "GRU": lambda: recurrent(eqx.nn.GRUCell),
    "LSTM": lambda: recurrent(eqx.nn.LSTMCell),
    "equal blocks in a checkpointed scan": rotary,
    "a linear recurrent unit": lru,
    "S5": lambda: complex_params(*s5()),
    "a Fourier neural operator": fourier_operator,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_equinox(name):
    agree(*PROGRAMS[name]())
