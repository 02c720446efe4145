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
