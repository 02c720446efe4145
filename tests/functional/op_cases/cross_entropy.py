"""Cases of losses of classes."""

import numpy as np

import bpjax.functional as F

from .table import case, normal, positive, unit

z, z3 = normal(5, 5), normal(2, 5, 3)
classes, classes3, w5 = np.array([0, 4, 1, -100, 2]), np.array([[1, 0, 4], [-100, 2, 2]]), positive(5)
for how, eps in [("mean", 0.0), ("mean", 0.2), ("sum", 0.2), ("none", 0.0)]:
    options = {"reduction": how, "label_smoothing": eps}
    case("cross_entropy", f"{how} smoothing {eps}", [z], f=lambda z, o=options: F.cross_entropy(z, classes, **o))
    case("cross_entropy", f"{how} smoothing {eps} weight", [z, w5], f=lambda z, w, o=options: F.cross_entropy(z, classes, w, **o))
    case("cross_entropy", f"{how} smoothing {eps} probabilities weight", [z, unit(5, 5), w5], **options)
case("cross_entropy", "in 2 dims, weight", [z3, w5], f=lambda z, w: F.cross_entropy(z, classes3, w, label_smoothing=0.2))
case("cross_entropy", "probabilities", [z, unit(5, 5)], label_smoothing=0.2)
case("cross_entropy", "probabilities in 3 dims", [z3, unit(2, 5, 3)])
case("cross_entropy", "probabilities of more rows than float16 counts", [normal(70_001, 2), unit(70_001, 2)], narrow=True)
case("cross_entropy", "one row", [normal(5)], f=lambda z: F.cross_entropy(z, np.array(3)))
case("cross_entropy", "one class", [normal(3, 1)], f=lambda z: F.cross_entropy(z, np.zeros(3, int), reduction="sum"))
case("cross_entropy", "batch 0, sum", [normal(0, 5)], f=lambda z: F.cross_entropy(z, np.zeros(0, int), reduction="sum"))
case("cross_entropy", "all ignored, sum", [z, w5], f=lambda z, w: F.cross_entropy(z, np.full(5, -100), w, reduction="sum"))
case("cross_entropy", "ignore_index 2", [z], f=lambda z: F.cross_entropy(z, classes % 5, ignore_index=2))
case("cross_entropy", "large logits", [1e4 * z, w5], f=lambda z, w: F.cross_entropy(z, classes, w, label_smoothing=0.1))
case("cross_entropy", "equal logits", [np.full((5, 5), 3.0)], f=lambda z: F.cross_entropy(z, classes))
for how in ["mean", "sum", "none"]:
    case("nll_loss", how, [z], f=lambda z, how=how: F.nll_loss(z, classes, reduction=how))
    case("nll_loss", f"{how} weight", [z, w5], f=lambda z, w, how=how: F.nll_loss(z, classes, w, reduction=how))
case("nll_loss", "in 2 dims, ignore_index 2", [z3, w5],
     f=lambda z, w: F.nll_loss(z, np.where(classes3 < 0, 2, classes3), w, ignore_index=2))  # fmt: skip
case("nll_loss", "one row", [normal(5), w5], f=lambda z, w: F.nll_loss(z, np.array(3), w))
case("nll_loss", "large, all ignored, sum", [1e4 * z], f=lambda z: F.nll_loss(z, np.full(5, -100), reduction="sum"))
