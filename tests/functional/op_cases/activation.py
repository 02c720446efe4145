"""Cases of activations."""

import jax.numpy as jnp
import numpy as np

from .table import case, edge, kinks, normal, x

for name in ["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus"]:
    case(name, "normal", [x])
    case(name, "a width that 8 divides", [normal(3, 8)])
    case(name, "extremes", [edge], smooth=False)
    case(name, "kinks", [kinks], smooth=False)
    case(name, "scalar", [normal()])
case("leaky_relu", "slope", [x], negative_slope=0.3)
case("leaky_relu", "negative slope", [x], negative_slope=-0.3)
case("elu", "alpha", [x], alpha=0.4)
case("elu", "alpha 0", [x], alpha=0.0)
case("gelu", "tanh", [x], approximate="tanh")
case("gelu", "tanh, extremes", [edge], approximate="tanh")
case("softplus", "beta and threshold", [3 * x], beta=2.0, threshold=1.0)
for name in ["softmax", "log_softmax"]:
    case(name, "last axis", [x], dim=-1)
    case(name, "first axis", [normal(3, 4, 2)], dim=0)
    case(name, "large and tied", [np.array([[1e3, 1e3, 0.0], [-1e3, 5.0, 5.0]])], dim=1)
    case(name, "to a dtype", [x], dim=1, dtype=jnp.float64)
