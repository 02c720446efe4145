"""Cases of embeddings."""

import jax.numpy as jnp
import numpy as np

import bpjax.functional as F

from .table import case, normal

index = np.array([[0, 3, 3], [1, 4, 0]])
W = normal(5, 3)
case("embedding", "repeated indices", [normal(5, 5)], f=lambda W: F.embedding(index, W))
case("embedding", "padding", [W], f=lambda W: F.embedding(index, W, 3))
case("embedding", "negative padding", [W], f=lambda W: F.embedding(index, W, -2))
case("embedding", "by frequency", [W], f=lambda W: F.embedding(index, W, scale_grad_by_freq=True))
case("embedding", "by frequency, padding", [W], f=lambda W: F.embedding(index, W, 3, scale_grad_by_freq=True))
case("embedding", "no indices", [W], f=lambda W: F.embedding(index[:0], W))

flat, offsets = index.reshape(-1), np.array([0, 2, 2, 3])
ties = np.array([[1.0, 2.0], [1.0, 0.0], [1.0, 2.0], [0.0, 0.0], [-1.0, 2.0]])


def bag(id, args, input=flat, offsets=offsets, mode="sum", smooth=True, **options):
    def f(W, p=None):
        return F.embedding_bag(input, W, offsets, mode=mode, per_sample_weights=p, **options)

    case("embedding_bag", id, args, f=f, smooth=smooth)


bag("sum, weighted", [normal(5, 5), normal(6)])
bag("rows, weighted", [W, normal(2, 3)], input=index, offsets=None, padding_idx=3)
bag("sum by frequency, an empty bag", [W], scale_grad_by_freq=True)
bag("mean, padding", [W], mode="mean", padding_idx=-2)
bag("mean of rows by frequency", [W], input=index, offsets=None, mode="mean", scale_grad_by_freq=True)
bag("maximum, an empty bag", [W], mode="max")
bag("maximum, ties and padding", [ties], input=index, offsets=None, mode="max", padding_idx=0, smooth=False)
bag("last offset", [W], offsets=np.array([0, 2, 6]), include_last_offset=True, mode="mean")

for id, classes in [("of rows", index), ("of one", np.array([2])), ("scalar", np.array(3)), ("none", index[:0])]:
    case("one_hot", id, [W], f=lambda W, classes=classes: F.one_hot(jnp.asarray(classes), 5).astype(W.dtype) @ W)
