"""Cases of activations."""

import jax
import numpy as np

import bpjax.functional as F

from .table import case, edge, kinks, normal, x

SMOOTH = ["sigmoid", "tanh", "logsigmoid", "softplus", "tanhshrink", "softsign", "elu", "celu", "selu", "gelu", "silu", "mish"]
PIECES = ["relu", "relu6", "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "leaky_relu"]
TINY = ["sigmoid", "logsigmoid", "softplus", "silu", "mish"]  # whose slopes are, far out
FROM_OUTPUT = ["elu", "celu", "selu"]  # whose slopes are made of y, and 0 where y has rounded to its limit
near_edge = np.where(edge == -40, -20, edge)
corners = np.concatenate([kinks, [-6.0, -3.0, -0.5, 3.0, 6.0]])
for name in SMOOTH + PIECES:
    case(name, "normal", [x])
    case(name, "a width that 8 divides", [normal(3, 8)])
    case(name, "extremes", [near_edge if name in FROM_OUTPUT else edge], smooth=False, entrywise=name in TINY)
    case(name, "kinks", [corners], smooth=False)
    case(name, "scalar", [normal()])
case("leaky_relu", "slope", [x], negative_slope=0.3)
case("leaky_relu", "negative slope", [x], negative_slope=-0.3)
case("elu", "alpha", [x], alpha=0.4)
case("elu", "alpha 0", [x], alpha=0.0)
case("elu", "negative alpha", [x], alpha=-0.4)
case("elu", "negative alpha, kinks", [kinks], alpha=-0.4, smooth=False)
case("celu", "alpha", [x], alpha=0.4)
case("celu", "negative alpha", [x], alpha=-0.4)
case("celu", "alpha, extremes", [0.4 * near_edge], alpha=0.4, smooth=False)
case("gelu", "where its slope is near 0", [np.linspace(-0.85, -0.65, 64)], narrow=True)
case("gelu", "tanh", [x], approximate="tanh")
case("gelu", "tanh, extremes", [edge], approximate="tanh")
case("softplus", "beta and threshold", [3 * x], beta=2.0, threshold=1.0)
case("softplus", "far below a far threshold", [500 * x], threshold=1e4, entrywise=True)
case("hardtanh", "limits", [x], min_val=0.0, max_val=0.5)
case("hardtanh", "limits, kinks", [kinks], min_val=0.5, max_val=2.0, smooth=False)
case("hardtanh", "equal limits", [kinks], min_val=1.0, max_val=1.0, smooth=False)
case("hardshrink", "lambd 0", [corners], lambd=0.0, smooth=False)
case("softshrink", "lambd 0", [corners], lambd=0.0, smooth=False)
case("threshold", "normal", [x], threshold=0.3, value=2.0)
case("threshold", "kinks", [kinks], threshold=1.0, value=-7.0, smooth=False)
case("threshold", "extremes", [edge], threshold=-1.0, value=0.0, smooth=False)
case("threshold", "everything", [x], threshold=100.0, value=3.0)
case("prelu", "one for each channel", [x, normal(6)])
case("prelu", "one in all", [normal(3, 5), normal(1)])
case("prelu", "channels of images", [normal(2, 3, 2, 2), normal(3)])
case("prelu", "kinks", [corners, np.array(0.3)], smooth=False)
case("prelu", "extremes, batch 1", [edge[None], normal(10)], smooth=False)
case("prelu", "one vector", [normal(5), normal(1)])
key = jax.random.key(1)
case("rrelu", "training", [x], f=lambda x: F.rrelu(x, training=True, rng=key))
case("rrelu", "evaluation", [x])
case("rrelu", "training, limits", [normal(3, 8)], f=lambda x: F.rrelu(x, -0.5, 0.5, True, rng=key))
case("rrelu", "training, kinks", [corners], f=lambda x: F.rrelu(x, training=True, rng=key), smooth=False)
case("rrelu", "evaluation, limits", [x], lower=0.2, upper=0.2)
case("rrelu", "evaluation, extremes", [edge], smooth=False)
case("glu", "last axis", [x])
case("glu", "first axis", [normal(4, 3, 2)], dim=0)
case("glu", "extremes", [edge], entrywise=True)
case("glu", "halves of 1, batch 1", [normal(1, 2, 3)], dim=1)
case("glu", "batch 0", [normal(0, 4)])
