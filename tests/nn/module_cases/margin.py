"""Cases of losses of margins and of embeddings."""

import numpy as np

from .table import apart, integers, module, normal, positive

EVAL = ("eval",)  # the same as in training
a, b, c = normal(3, 4), normal(3, 4, seed=1), normal(3, 4, seed=2)
sign, signs = np.where(normal(3, 4, seed=3) > 0, 1.0, -1.0), np.array([1, -1, -1])
classes, labels = np.array([0, 3, 1]), np.array([[3, 0, -1, 1], [2, 2, 1, -1], [-1, 2, 0, 1]])


def loss(name, id, inputs, kwargs=None, /, **options):
    module(name, id, lambda lib: getattr(lib.nn, name)(**options), inputs, kwargs=kwargs, modes=EVAL)


def squares(x, y):
    return ((x - y) ** 2).sum(-1)


for how in ["mean", "sum", "none"]:
    loss("SoftMarginLoss", how, [a], {"target": sign}, reduction=how)
    loss("MarginRankingLoss", how, [a, b, sign], margin=0.5, reduction=how)
    loss("HingeEmbeddingLoss", how, [a, sign], margin=0.5, reduction=how)
    loss("MultiMarginLoss", how, [a, classes], reduction=how)
    loss("MultiLabelMarginLoss", how, [a, labels], reduction=how)
    loss("CosineEmbeddingLoss", how, [a, b, signs], margin=-0.9, reduction=how)
    loss("TripletMarginLoss", how, [a, b, c], margin=3.0, reduction=how)
    loss("TripletMarginWithDistanceLoss", how, [a, b, c], margin=3.0, reduction=how)
loss("SoftMarginLoss", "a target of integers", [a], {"target": sign.astype(int)})
loss("SoftMarginLoss", "scalar", [normal()], {"target": np.array(-1.0)}, size_average=False)
loss("MarginRankingLoss", "at the edge", [np.array([1.0, 0.0, 2.0]), np.zeros(3), np.ones(3)], margin=1.0)
loss("MarginRankingLoss", "scalars", [normal(), normal(seed=1), np.array(-1)])
loss("HingeEmbeddingLoss", "at the edge, another target", [np.array([1.0, 0.0, 2.0, 1.0, 0.5]), np.array([-1, -1, -1, 1, 0])])
loss("HingeEmbeddingLoss", "empty", [normal(0), np.zeros(0, int)])
module(
    "MultiMarginLoss",
    "weight, in order",
    lambda lib: lib.nn.MultiMarginLoss(2, 0.6, lib.array(positive(4)), False),
    [a, classes],
    modes=EVAL,
)
loss("MultiMarginLoss", "at the edge", [np.array([[1.0, 2.0, 1.5]]), np.array([1])])
loss("MultiMarginLoss", "at the edge, p 2", [np.array([[1.0, 2.0, 1.5]]), np.array([1])], p=2)
loss("MultiMarginLoss", "one row", [normal(5), np.array(2)], reduction="none")
loss("MultiMarginLoss", "one row, a target of one", [normal(5), np.array([2])], reduction="none")
loss("MultiMarginLoss", "scalar", [normal(), np.array(0)])
loss("MultiLabelMarginLoss", "scalar", [normal(), np.array(0)], reduction="none")
loss("MultiLabelMarginLoss", "at the edge", [np.array([1.0, 2.0, 3.0]), np.array([1, -1, -1])])
loss("MultiLabelMarginLoss", "one row", [normal(4), labels[0]], reduction="none")
loss("MultiLabelMarginLoss", "larger", [normal(2, 9), integers(9, 2, 9) - 1])
loss("CosineEmbeddingLoss", "one pair", [normal(3), normal(3, seed=1), np.array(-1.0)], margin=-1.0)
loss(
    "CosineEmbeddingLoss",
    "zeros, across, another target",
    [np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]), np.array([[0.0, 1.0]] * 3), np.array([1, -1, 0])],
)
loss("CosineEmbeddingLoss", "empty", [normal(0, 3), normal(0, 3), np.zeros(0)])
for p in [1.0, 3.5, 0.5, -1.0, np.inf]:
    loss("TripletMarginLoss", f"p {p}", [apart(2, 3) / 3, normal(2, 3), normal(2, 3, seed=1)], p=p, margin=5.0)
loss("TripletMarginLoss", "swap", [a, b, c], swap=True, margin=3.0)
loss("TripletMarginLoss", "vectors that are equal", [np.zeros((1, 3)), np.zeros((1, 3)), np.ones((1, 3))], eps=0.0, margin=4.0)
loss("TripletMarginLoss", "at the edge, a tie", [np.zeros((1, 1)), np.ones((1, 1)), np.array([[0.5]])], p=1, eps=0.0, margin=0.5, swap=True)
loss("TripletMarginLoss", "one vector, in order", [normal(4), normal(4, seed=1), normal(4, seed=2)], eps=0.5, reduce=False)
loss("TripletMarginLoss", "scalars", [normal(), normal(seed=1), normal(seed=2)], margin=5.0)
loss("TripletMarginWithDistanceLoss", "broadcast", [normal(3, 4), normal(1, 4), normal(3, 1)], margin=5.0)
loss("TripletMarginWithDistanceLoss", "swap, own distance", [a, b, c], swap=True, margin=4.0, distance_function=squares)
loss("TripletMarginWithDistanceLoss", "leading axes", [normal(2, 3, 4), normal(2, 3, 4, seed=1), normal(2, 3, 4, seed=2)], reduction="none")
module(
    "TripletMarginWithDistanceLoss",
    "a module as distance",
    lambda lib: lib.nn.TripletMarginWithDistanceLoss(distance_function=lib.nn.Bilinear(4, 4, 1)),
    [a, b, c],
    modes=EVAL,
)
