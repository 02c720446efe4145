"""Cases of losses of margins and of embeddings."""

import numpy as np

import bpjax.functional as F

from .table import apart, case, edge, normal, positive

a, b, c = normal(4, 4), normal(4, 4, seed=1), normal(4, 4, seed=2)
sign, signs = np.where(normal(4, 4, seed=3) > 0, 1, -1), np.array([1, -1, -1, 1])
classes, labels = np.array([0, 3, 1, 3]), np.array([[3, 0, -1, 1], [1, -1, -1, -1], [-1, 2, 0, 1], [2, 2, 1, -1]])
for how in ["mean", "sum", "none"]:
    case("soft_margin_loss", how, [a, b], reduction=how)
    case("margin_ranking_loss", how, [a, b, c], margin=0.5, reduction=how)
    case("hinge_embedding_loss", how, [a], f=lambda x, how=how: F.hinge_embedding_loss(x, sign, 0.7, reduction=how))
    case("multi_margin_loss", how, [a], f=lambda x, how=how: F.multi_margin_loss(x, classes, reduction=how))
    case(
        "multi_margin_loss",
        f"{how} p 2, weight",
        [a, positive(4)],
        f=lambda x, w, how=how: F.multi_margin_loss(x, classes, 2, 0.6, w, reduction=how),
    )
    case("multilabel_margin_loss", how, [a], f=lambda x, how=how: F.multilabel_margin_loss(x, labels, reduction=how))
    case("cosine_embedding_loss", how, [a, b], f=lambda x, y, how=how: F.cosine_embedding_loss(x, y, signs, -0.9, reduction=how))
    case("triplet_margin_loss", how, [a, b, c], margin=3.0, reduction=how)
    case("triplet_margin_with_distance_loss", how, [a, b, c], margin=3.0, reduction=how)
case("soft_margin_loss", "extremes", [1e4 * np.sign(edge)], f=lambda x: F.soft_margin_loss(x, np.where(np.arange(10) % 2, 1, -1)))
case(
    "margin_ranking_loss",
    "at the edge",
    [np.array([1.0, 0.0, 2.0]), np.zeros(3)],
    smooth=False,
    f=lambda x, y: F.margin_ranking_loss(x, y, np.ones(3, int), 1.0),
)
case("margin_ranking_loss", "scalars", [np.array(0.2), np.array(0.5), np.array(1.0)])
case("hinge_embedding_loss", "a target of floats", [a, b])
case(
    "hinge_embedding_loss",
    "at the edge",
    [np.array([1.0, 0.0, 2.0, 1.0])],
    smooth=False,
    f=lambda x: F.hinge_embedding_loss(x, np.array([-1, -1, -1, 1])),
)
case("multi_margin_loss", "one row", [normal(5)], f=lambda x: F.multi_margin_loss(x, np.array(2)))
for p in [1, 2]:
    case(
        "multi_margin_loss",
        f"at the edge, p {p}",
        [np.array([[1.0, 2.0, 1.5]])],
        smooth=False,
        f=lambda x, p=p: F.multi_margin_loss(x, np.array([1]), p),
    )
case("multilabel_margin_loss", "one row", [normal(4)], f=lambda x: F.multilabel_margin_loss(x, labels[0]))
case(
    "multilabel_margin_loss",
    "at the edge",
    [np.array([1.0, 2.0, 3.0])],
    smooth=False,
    f=lambda x: F.multilabel_margin_loss(x, np.array([1, -1, -1])),
)
case("cosine_embedding_loss", "one pair", [normal(3), normal(3, seed=1), np.array(-1.0)], margin=-1.0)
case(
    "cosine_embedding_loss",
    "zeros, across, another target",
    [np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 2.0]]), np.array([[0.0, 1.0]] * 3)],
    smooth=False,
    f=lambda x, y: F.cosine_embedding_loss(x, y, np.array([1, -1, 0])),
)
for p in [1, 3.5, -1.0, np.inf, 0]:
    case("triplet_margin_loss", f"p {p}", [apart(2, 3) / 3, normal(2, 3), normal(2, 3, seed=1)], p=p, margin=5.0)
case("triplet_margin_loss", "swap", [a, b, c], margin=3.0, swap=True)
case(
    "triplet_margin_loss",
    "vectors that are equal",
    [np.zeros((2, 3)), np.zeros((2, 3)), np.array([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])],
    eps=0.0,
    smooth=False,
)
case(
    "triplet_margin_loss",
    "at the edge, a tie",
    [np.zeros((1, 1)), np.ones((1, 1)), np.array([[0.5]])],
    p=1,
    eps=0.0,
    margin=0.5,
    swap=True,
    smooth=False,
)
case(
    "triplet_margin_with_distance_loss",
    "swap, own distance",
    [a, b, c],
    swap=True,
    margin=4.0,
    distance_function=lambda x, y: ((x - y) ** 2).sum(-1),
)
