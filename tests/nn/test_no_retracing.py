"""A model that is applied again with the same shapes is not traced again."""

import chex
import jax
import jax.numpy as jnp
import pytest

import bpjax
from bpjax import nn

MODELS = {
    "convolution, batch norm, dropout": (
        lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 2)),
        (4, 2, 6),
    ),
    "LSTM": (lambda: nn.LSTM(2, 3, num_layers=2, dropout=0.1, bidirectional=True), (4, 2, 2)),
    "encoder": (lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), (2, 3, 4)),
    "Repeat": (lambda: nn.Repeat(nn.Sequential(nn.Linear(4, 4), nn.Tanh()), 3), (2, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_one_trace_for_one_shape(name):
    make, shape = MODELS[name]
    model = make()
    params, buffers = model.init(jax.random.key(0)), model.init_buffers()

    def loss(params, x, key):
        y, new = model.apply(params, x, buffers=buffers, train=True, rng=key)
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(y)), new

    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(bpjax.grad(loss, has_aux=True), n=1))
    for seed in range(3):
        step(params, jnp.full(shape, float(seed)), jax.random.key(seed))
    with pytest.raises(AssertionError, match="traced"):
        step(params, jnp.ones((shape[0] + 1, *shape[1:])), jax.random.key(0))


def test_an_op_is_traced_once_for_its_options_and_shapes():
    traces = []

    @bpjax.op(static=("times",))
    def repeated(x, times):
        traces.append(x.shape)
        return x * times

    for times in (2, 2, 3, 2):
        repeated(jnp.ones(3), times)
    assert len(traces) == 2
