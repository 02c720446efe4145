"""Haiku: transformed functions."""

import jax
import jax.numpy as jnp
import pytest
from agreement import agree, library, normal

hk = library("haiku")
pytestmark = pytest.mark.usefixtures("x64")


def transformed(f, *inputs):
    """The sum of squares of what `f` makes of the inputs, as a function of its parameters."""
    net = hk.transform_with_state(f)
    params, state = net.init(jax.random.key(0), *inputs)
    return lambda p: jnp.sum(net.apply(p, state, jax.random.key(1), *inputs)[0] ** 2), params


def convolutional(x):
    x = hk.BatchNorm(True, True, 0.9)(hk.Conv2D(4, 3)(x), is_training=True)
    x = hk.MaxPool((2, 2, 1), (2, 2, 1), "SAME")(jax.nn.relu(x))
    return hk.Linear(3)(hk.dropout(hk.next_rng_key(), 0.2, hk.Flatten()(x)))


def recurrent(x):
    core = hk.DeepRNN([hk.LSTM(4), jnp.tanh, hk.GRU(3)])
    return hk.dynamic_unroll(core, x, core.initial_state(2))[0]


def attention(x):
    y = hk.LayerNorm(-1, True, True)(x)
    return x + hk.remat(hk.MultiHeadAttention(2, 4, w_init=hk.initializers.VarianceScaling(), model_size=6))(y, y, y)


PROGRAMS = {
    "a convolutional network with BatchNorm": lambda: transformed(convolutional, normal(0, 3, 6, 6, 2)),
    "stacked recurrences": lambda: transformed(recurrent, normal(0, 5, 2, 3)),
    "attention, with remat": lambda: transformed(attention, normal(0, 2, 5, 6)),
    "an MLP for each layer of a stack": lambda: transformed(lambda x: hk.experimental.layer_stack(3)(hk.nets.MLP([4]))(x), normal(0, 2, 4)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_haiku(name):
    agree(*PROGRAMS[name]())
