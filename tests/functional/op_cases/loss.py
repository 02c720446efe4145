"""Cases of losses."""

import numpy as np

import bpjax.functional as F

from .table import case, edge, kinks, normal, positive, unit

a, b = normal(4, 4), normal(4, 4, seed=1)
for how in ["mean", "sum", "none"]:
    case("mse_loss", how, [a, b], reduction=how)
    case("l1_loss", how, [a, b], reduction=how)
    case("huber_loss", how, [a, b], reduction=how, delta=0.7)
case("mse_loss", "size_average", [a, b], size_average=False)
case("l1_loss", "equal", [a, np.where(a > 0, a, b)], smooth=False)
case("huber_loss", "edges", [kinks, np.zeros(6)], smooth=False)
z, z3 = normal(5, 5), normal(2, 5, 3)
classes, classes3, w5 = np.array([0, 4, 1, -100, 2]), np.array([[1, 0, 4], [-100, 2, 2]]), positive(5)
for how, eps in [("mean", 0.0), ("mean", 0.2), ("sum", 0.2), ("none", 0.0)]:
    options = {"reduction": how, "label_smoothing": eps}
    case("cross_entropy", f"{how} smoothing {eps}", [z], f=lambda z, o=options: F.cross_entropy(z, classes, **o))
    case("cross_entropy", f"{how} smoothing {eps} weight", [z, w5], f=lambda z, w, o=options: F.cross_entropy(z, classes, w, **o))
    case("cross_entropy", f"{how} smoothing {eps} probabilities weight", [z, unit(5, 5), w5], **options)
    case("cross_entropy", f"{how} smoothing {eps} in 2 dims, weight", [z3, w5],
         f=lambda z, w, o=options: F.cross_entropy(z, classes3, w, **o))
case("cross_entropy", "probabilities", [z, unit(5, 5)], label_smoothing=0.2)
for how in ["mean", "sum", "none"]:
    case("nll_loss", how, [z], f=lambda z, how=how: F.nll_loss(z, classes, reduction=how))
    case("nll_loss", f"{how} weight", [z, w5], f=lambda z, w, how=how: F.nll_loss(z, classes, w, reduction=how))
    case("nll_loss", f"{how} in 2 dims", [z3, w5],
         f=lambda z, w, how=how: F.nll_loss(z, np.where(classes3 < 0, 2, classes3), w, ignore_index=2, reduction=how))
case("cross_entropy", "probabilities in 3 dims", [z3, unit(2, 5, 3)])
case("cross_entropy", "one row", [normal(5)], f=lambda z: F.cross_entropy(z, np.array(3)))
case("cross_entropy", "ignore_index 2", [z], f=lambda z: F.cross_entropy(z, classes % 5, ignore_index=2))
case("cross_entropy", "large logits", [1e4 * z], f=lambda z: F.cross_entropy(z, classes))
for how in ["mean", "sum", "none"]:
    p, t = unit(4, 4), unit(4, 4, seed=1)
    case("binary_cross_entropy", how, [p, t], reduction=how)
    case("binary_cross_entropy", f"{how} weight", [p, t, positive(4)], reduction=how)
    case("binary_cross_entropy_with_logits", how, [a, t], reduction=how)
    case("binary_cross_entropy_with_logits", f"{how} weight", [a, t, positive(4, 1)], reduction=how)
    case("binary_cross_entropy_with_logits", f"{how} pos_weight", [a, t, positive(4, 1), positive(4)],
         f=lambda z, t, w, p, how=how: F.binary_cross_entropy_with_logits(z, t, w, reduction=how, pos_weight=p))
case("binary_cross_entropy", "edges", [np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])], smooth=False)
case("binary_cross_entropy_with_logits", "extremes", [edge, unit(10)], smooth=False)
