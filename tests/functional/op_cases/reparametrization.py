"""Cases of weight norm and spectral norm."""

import jax.numpy as jnp

import bpjax.functional as F

from .table import case, normal, positive, x

case("weight_norm", "rows", [x, positive(6, 1)])
case("weight_norm", "the second axis", [normal(2, 3, 4), normal(1, 3, 1)], dim=1)
case("weight_norm", "an axis from the end", [normal(2, 3, 4), normal(1, 3, 1)], dim=-2)
case("weight_norm", "as a whole", [normal(2, 3), normal()], dim=None)
case("weight_norm", "one row", [normal(1, 3), normal(1, 1, seed=1)])

case("norm_except_dim", "rows", [x])
case("norm_except_dim", "the last axis", [normal(2, 3, 4)], dim=2)
case("norm_except_dim", "as a whole", [normal(2, 3)], dim=None)
case("norm_except_dim", "one vector", [normal(3)])

case("spectral_norm", "rows", [x + 2, positive(6), positive(6, seed=1)])
case("spectral_norm", "a convolution", [positive(2, 3, 2), positive(2), positive(6)])
case("spectral_norm", "the second axis", [positive(2, 3, 2), positive(3), positive(4)], dim=1)
case("spectral_norm", "the last axis", [positive(2, 3), positive(3), positive(2)], dim=-1)
case("spectral_norm", "one vector", [positive(3), positive(3, seed=1), positive(1)])

vectors = [normal(6), normal(6, seed=1)]
for id, options in {
    "one": {},
    "three": {"n_power_iterations": 3},
    "v first": {"v_first": True},
    "the second axis": {"dim": 1},
}.items():
    case("power_iteration", id, [x, *vectors], f=lambda *arrays, options=options: jnp.stack(F.power_iteration(*arrays, **options)))
