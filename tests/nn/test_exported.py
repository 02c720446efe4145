"""`jax.export` with a batch of any size: a choice by size takes the general form where the size is not known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import bpjax
import bpjax.functional as F
from bpjax import nn

key = jax.random.key(0)
W, image = jax.random.normal(key, (3, 4)), (3, 8, 8)
MODULES = {
    "Flatten": (nn.Flatten(), (3, 4)),
    "Linear": (nn.Linear(64, 2), (64,)),
    "Linear, tiny": (nn.Linear(2, 2), (2,)),
    "Conv1d": (nn.Conv1d(3, 4, 3), (3, 9)),
    "Conv2d": (nn.Conv2d(3, 4, 3), image),
    "Conv2d, depthwise, strided": (nn.Conv2d(3, 3, 3, stride=2, groups=3), image),
    "Conv2d, 1x1": (nn.Conv2d(3, 4, 1), image),
    "Conv2d, many channels": (nn.Conv2d(64, 64, 3), (64, 9, 9)),
    "ConvTranspose2d": (nn.ConvTranspose2d(3, 4, 3, stride=2), image),
    "BatchNorm1d": (nn.BatchNorm1d(4), (4,)),
    "GroupNorm": (nn.GroupNorm(2, 4), (4, 3)),
    "TransformerEncoderLayer": (nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), (5, 8)),
    "LSTM": (nn.LSTM(4, 5, batch_first=True), (6, 4)),
    "MaxPool2d": (nn.MaxPool2d(3, 2), image),
    "AdaptiveMaxPool2d": (nn.AdaptiveMaxPool2d(3), image),
    "ReLU, whole bytes": (nn.ReLU(), (8,)),
    "ReLU, no whole bytes": (nn.ReLU(), (3, 5)),
    "ReLU, one axis": (nn.ReLU(), ()),
    "Softplus": (nn.Softplus(), (5,)),
    "Dropout": (nn.Dropout(), (5,)),
    "Dropout2d": (nn.Dropout2d(), image),
}
classes = lambda x: jnp.zeros(x.shape[0], int)
FUNCTIONS = {
    "attention": ((2, 5, 4), lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)),
    "attention in blocks": ((2, 300, 4), lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)),
    "cross_entropy": ((4,), lambda x: F.cross_entropy(x, classes(x))),
    "linear_cross_entropy": ((4,), lambda x: F.linear_cross_entropy(x, W, classes(x))),
    "linear_cross_entropy, none": ((4,), lambda x: F.linear_cross_entropy(x, W, classes(x), reduction="none")),
    "multilabel_margin_loss": ((4,), lambda x: F.multilabel_margin_loss(x, jnp.zeros(x.shape, int))),
    "gaussian_nll_loss": ((4,), lambda x: F.gaussian_nll_loss(x, 0 * x, 1 + x * x)),
    "embedding_bag": ((4,), lambda x: F.embedding_bag(0 * x.astype(int), W) * x[:, :1]),
    "max_unpool2d": (image, lambda x: F.max_unpool2d(*F.max_pool2d_with_indices(x, 2), 2)),
    "ctc_loss": (
        (5, 4),
        lambda x: F.ctc_loss(
            F.log_softmax(x.swapaxes(0, 1), -1), jnp.ones((x.shape[0], 2), int), jnp.full(x.shape[0], 5), jnp.full(x.shape[0], 2)
        ),
    ),
}


def of_module(model):
    params, buffers = model.init(key), model.init_buffers()

    def f(x):
        y, new = model.apply(params, x, buffers=buffers, train=True, rng=key)
        return jax.tree.leaves(y)[0], sum(jnp.sum(leaf) for leaf in jax.tree.leaves(new))

    return f


CASES = {name: (shape, lambda x, f=f: (f(x), 0.0)) for name, (shape, f) in FUNCTIONS.items()}
CASES |= {name: (shape, of_module(model)) for name, (model, shape) in MODULES.items()}


@pytest.mark.parametrize("id", CASES)
def test_exported_with_a_batch_of_any_size(id):
    shape, f = CASES[id]

    def program(x):
        y, back, new = bpjax.vjp(f, x, has_aux=True)
        return y, new, back(jnp.cos(y))

    (n,) = export.symbolic_shape("n")
    exported = export.export(jax.jit(program))(jax.ShapeDtypeStruct((n, *shape), jnp.float32))
    for size in (2, 5):
        x = jax.random.normal(key, (size, *shape))
        for got, expected in zip(jax.tree.leaves(exported.call(x)), jax.tree.leaves(program(x)), strict=True):
            np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-5)
