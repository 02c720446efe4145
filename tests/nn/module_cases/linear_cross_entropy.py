"""Cases of the cross-entropy of a linear map."""

import numpy as np

from .table import module, normal, positive, unit

x, classes, w = normal(5, 3), np.array([0, 3, 1, -100, 2]), positive(4)


def loss(name, inputs, *, weighted=False, rows=None, **options):
    def make(lib):
        blocks = None if rows is None else lib.nn.LinearCrossEntropyOptions(batch_chunk_size=rows)
        return lib.nn.LinearCrossEntropyLoss(3, 4, weight=lib.array(w) if weighted else None, options=blocks, **options)

    module("LinearCrossEntropyLoss", name, make, inputs, keep=weighted)


loss("mean", [x, classes])
loss("blocks of 2, bias, weight", [x, classes], weighted=True, rows=2, bias=True)
loss("blocks of 2, none, ignore_index 2", [x, classes % 4], rows=2, reduction="none", ignore_index=2)
loss("smoothing, sum, weight", [x, classes], weighted=True, reduction="sum", label_smoothing=0.2)
loss("in 2 dims, bias", [x[:2], np.array([[1, 0], [3, -100]])], out_features=(2,), bias=True)
loss("probabilities in 2 dims", [x[:2], unit(2, 4, 2)], out_features=(2,))
loss("one row", [x[0], np.array(2)])
