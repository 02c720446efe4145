"""Flax Linen and NNX: layers with collections, lifted loops and remat, and modules that are split and merged."""

import jax
import jax.numpy as jnp
import pytest
from agreement import agree, normal
from flax import linen, nnx

pytestmark = pytest.mark.usefixtures("x64")


def variables(module, x, loss):
    """`loss` of what the module makes of x, as a function of its parameters; other collections stand as they begin."""
    start = module.init(jax.random.key(0), x)
    rest = {name: value for name, value in start.items() if name != "params"}
    return lambda params: loss(module.apply({"params": params, **rest}, x, mutable=["batch_stats"])[0]), start["params"]


def squares(y):
    return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(y))


class ResNet(linen.Module):
    @linen.compact
    def __call__(self, x):
        for _ in range(2):
            y = linen.Conv(4, (3, 3), use_bias=False, param_dtype=float)(x)
            y = linen.BatchNorm(use_running_average=False, param_dtype=float)(y)
            x = linen.relu(y) + linen.Conv(4, (1, 1), param_dtype=float)(x)
        return linen.Dense(3, param_dtype=float)(linen.max_pool(x, (2, 2), (2, 2)).mean((1, 2)))


class Stacked(linen.Module):
    """Equal transformer blocks in one scan, each computed again on the way back."""

    @linen.compact
    def __call__(self, x):
        class Block(linen.Module):
            @linen.compact
            def __call__(self, x, _):
                y = linen.LayerNorm(param_dtype=float)(x)
                x = x + linen.MultiHeadDotProductAttention(2, param_dtype=float)(y, mask=linen.make_causal_mask(x[..., 0]))
                return x + linen.Dense(8, param_dtype=float)(linen.gelu(linen.Dense(16, param_dtype=float)(x))), None

        block = linen.scan(linen.remat(Block), variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return block()(x, None)[0]


def nnx_model(model, loss):
    graph, params, rest = nnx.split(model, nnx.Param, ...)
    return lambda params: loss(nnx.merge(graph, params, rest, copy=True)), params


class Gated(nnx.Module):
    """Embedded, an LSTM, and dropout."""

    def __init__(self, rngs):
        self.embed = nnx.Embed(9, 4, rngs=rngs, param_dtype=float)
        self.rnn = nnx.RNN(nnx.OptimizedLSTMCell(4, 5, rngs=rngs, param_dtype=float))
        self.dropout, self.norm = nnx.Dropout(0.3, rngs=rngs), nnx.GroupNorm(5, 1, rngs=rngs, param_dtype=float)

    def __call__(self, tokens):
        return self.norm(self.dropout(self.rnn(self.embed(tokens))))


TOKENS = ((1, 5, 2, 2), (8, 0, 1, 3))
PROGRAMS = {
    "Linen: a residual network with BatchNorm": lambda: variables(ResNet(), normal(0, 3, 6, 6, 2), squares),
    "Linen: blocks in a scan, with remat": lambda: variables(Stacked(), normal(0, 2, 5, 8), squares),
    "Linen: a bidirectional GRU": lambda: variables(
        linen.Bidirectional(linen.RNN(linen.GRUCell(4, param_dtype=float)), linen.RNN(linen.GRUCell(4, param_dtype=float))),
        normal(0, 2, 5, 3),
        squares,
    ),
    "Linen: a convolutional LSTM": lambda: variables(
        linen.RNN(linen.ConvLSTMCell(2, (3, 3), param_dtype=float)), normal(0, 2, 3, 5, 5, 1), squares
    ),
    "NNX: an LSTM with dropout": lambda: nnx_model(Gated(nnx.Rngs(0)), lambda model: squares(model(jnp.array(TOKENS)))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_flax(name):
    agree(*PROGRAMS[name]())
