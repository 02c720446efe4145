"""Cases of losses."""

import numpy as np

import bpjax.functional as F

from .table import case, edge, kinks, normal, positive, unit

a, b, w = normal(4, 4), normal(4, 4, seed=1), positive(4, 4)
for how in ["mean", "sum", "none"]:
    case("mse_loss", how, [a, b], reduction=how)
    case("l1_loss", how, [a, b], reduction=how)
    case("huber_loss", how, [a, b], reduction=how, delta=0.7)
    case("mse_loss", f"{how} weight", [a, b, w], f=lambda x, t, w, how=how: F.mse_loss(x, t, reduction=how, weight=w))
    case("l1_loss", f"{how} weight", [a, b, w], f=lambda x, t, w, how=how: F.l1_loss(x, t, reduction=how, weight=w))
    case("huber_loss", f"{how} weight", [a, b, w], f=lambda x, t, w, how=how: F.huber_loss(x, t, how, 0.7, w))
    case("smooth_l1_loss", how, [a, b], reduction=how, beta=0.7)
    case("poisson_nll_loss", how, [a, positive(4, 4, seed=1)], reduction=how)
    case("poisson_nll_loss", f"{how} of rates, full", [w, 2 * positive(4, 4, seed=1)], reduction=how, log_input=False, full=True)
    case("gaussian_nll_loss", how, [a, b, w], reduction=how)
    case("kl_div", how, [a, unit(4, 4)], reduction=how)
    case("kl_div", f"{how} log_target", [a, b], reduction=how, log_target=True)
case("mse_loss", "size_average", [a, b], size_average=False)
case("l1_loss", "equal", [a, np.where(a > 0, a, b)], smooth=False)
case("huber_loss", "edges", [kinks, np.zeros(6)], smooth=False)
for name in ["huber_loss", "smooth_l1_loss"]:
    case(name, "infinite", [np.array([np.inf, -np.inf, 1.0, 0.5]), np.zeros(4)], reduction="none", smooth=False)
case("smooth_l1_loss", "edges", [kinks, np.zeros(6)], smooth=False)
case("smooth_l1_loss", "beta 0", [np.array([1.0, -2.0, 0.0]), np.zeros(3)], beta=0.0, smooth=False)
case("smooth_l1_loss", "of integers", [a], f=lambda x: F.smooth_l1_loss(x, np.arange(16).reshape(4, 4)))
case("poisson_nll_loss", "counts, full", [normal(5)], f=lambda x: F.poisson_nll_loss(x, np.arange(5), full=True))
case("poisson_nll_loss", "edges", [np.zeros(4), np.array([0.0, 0.5, 1.0, 2.0])], full=True, log_input=False, smooth=False)
near = np.linspace(1.0, 3.0, 9)
case("poisson_nll_loss", "exp(x) near t", [near, np.exp(near) * (1 + 0.01 * normal(9))], narrow=True)
case("gaussian_nll_loss", "a variance for each row, full", [a, b, positive(4)], full=True)
case("gaussian_nll_loss", "spread", [normal(3, 2), normal(3, 1), positive(1, 2)], reduction="none")
case("gaussian_nll_loss", "a variance of a number", [a, b], f=lambda x, t: F.gaussian_nll_loss(x, t, 0.5))
case("gaussian_nll_loss", "cut off", [np.ones(4), np.array([1.0, 0.0, 2.0, 1.0]), np.array([0.0, 1e-7, 1e-6, 1.0])], smooth=False)
case("kl_div", "batchmean", [normal(3, 2), unit(3, 2)], reduction="batchmean")
case("kl_div", "edges", [np.array([-1.0, -2.0, -1e4]), np.array([0.0, 1.0, 0.5])], smooth=False)
case("kl_div", "log_target, extremes", [np.array([-1.0, -2.0]), np.array([-1e4, 0.0])], log_target=True, reduction="batchmean")
for how in ["mean", "sum", "none"]:
    p, t = unit(4, 4), unit(4, 4, seed=1)
    case("binary_cross_entropy", how, [p, t], reduction=how)
    case("binary_cross_entropy", f"{how} weight", [p, t, positive(4)], reduction=how)
    case("binary_cross_entropy_with_logits", how, [a, t], reduction=how)
    case("binary_cross_entropy_with_logits", f"{how} weight", [a, t, positive(4, 1)], reduction=how)
    case(
        "binary_cross_entropy_with_logits",
        f"{how} pos_weight",
        [a, t, positive(4, 1), positive(4)],
        f=lambda z, t, w, p, how=how: F.binary_cross_entropy_with_logits(z, t, w, reduction=how, pos_weight=p),
    )
    case("multilabel_soft_margin_loss", how, [a, t], reduction=how)
    case("multilabel_soft_margin_loss", f"{how} weight", [a, t, positive(4)], reduction=how)
case("multilabel_soft_margin_loss", "one row", [normal(4), unit(4, seed=1)])
case("multilabel_soft_margin_loss", "extremes", [edge, np.arange(10) % 2.0], reduction="none")
case("binary_cross_entropy", "edges", [np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])], smooth=False)
case("binary_cross_entropy_with_logits", "extremes", [edge, unit(10)], smooth=False)
