"""Cases of the cross-entropy of a linear map."""

import numpy as np

import bpjax.functional as F
from bpjax.nn import LinearCrossEntropyOptions

from .table import case, normal, positive, unit

x, W, b, w = normal(5, 5), normal(5, 5, seed=1), normal(5), positive(5)
classes, classes2 = np.array([0, 4, 1, -100, 2]), np.array([[1, 0], [2, -100], [2, 2]])
by_2, by_1 = LinearCrossEntropyOptions(batch_chunk_size=2), LinearCrossEntropyOptions(chunking_method="aspect_ratio:8")


def loss(target, **options):
    return lambda x, W, b=None, w=None: F.linear_cross_entropy(x, W, target, linear_bias=b, weight=w, **options)


case("linear_cross_entropy", "blocks of 2 of 5 rows", [x, W], f=loss(classes, options=by_2))
case("linear_cross_entropy", "blocks of 2, bias, weight, smoothing", [x, W, b, w], f=loss(classes, options=by_2, label_smoothing=0.2))
case("linear_cross_entropy", "blocks of 1, bias, none", [x, W, b], f=loss(classes, options=by_1, reduction="none", ignore_index=2))
case("linear_cross_entropy", "one block, sum, large", [1e4 * x, W, b, w], f=loss(classes, reduction="sum"))
case("linear_cross_entropy", "one row", [x[0], W, b], f=loss(np.array(3)))
case("linear_cross_entropy", "in 2 dims, weight, blocks of 2", [normal(3, 4), normal(5, 2, 4), normal(5, 2), w],
     f=loss(classes2, options=by_2))  # fmt: skip
case("linear_cross_entropy", "probabilities, weight, blocks of 2", [x, W, unit(5, 5), b, w], label_smoothing=0.2,
     f=lambda x, W, t, b, w: F.linear_cross_entropy(x, W, t, linear_bias=b, weight=w, options=by_2, reduction="none"))  # fmt: skip
case("linear_cross_entropy", "batch 0, sum", [normal(0, 4), normal(5, 4)], f=loss(np.zeros(0, int), reduction="sum"))
many = np.arange(20_000) % 3
case("linear_cross_entropy", "a scaled loss of many rows", [normal(20_000, 2), 0.1 * normal(3, 2)], narrow=True,
     f=lambda x, W: 2**13 * F.linear_cross_entropy(x, W, many))  # fmt: skip
