"""Cases of the softmax family."""

import jax
import jax.numpy as jnp
import numpy as np

import bpjax.functional as F

from .table import case, normal, x

tied = np.array([[1e4, 1e4, 0.0], [-1e4, 5.0, 5.0]])
for name in ["softmax", "log_softmax", "softmin"]:
    case(name, "last axis", [x], dim=-1)
    case(name, "first axis", [normal(3, 4, 2)], dim=0)
    case(name, "large and tied", [tied], dim=1)
    case(name, "to a dtype", [x], dim=1, dtype=jnp.float64)
    case(name, "scalar", [normal()], dim=0)
    case(name, "empty axis", [normal(3, 0)], dim=1)

case("softmax", "many small logits", [0.1 * normal(2, 1000)], dim=1, narrow=True)
case(
    "log_softmax",
    "the sum over many small logits",
    [0.1 * normal(2, 1000)],
    narrow=True,
    f=lambda x: F.log_softmax(x, dim=1).sum(1),
)
key = jax.random.key(1)
for id, args, options in [
    ("soft", x, {}),
    ("hard", x, {"hard": True}),
    ("first axis, hot", normal(4, 3), {"tau": 3.0, "dim": 0}),
    ("hard, along the middle", normal(2, 3, 2), {"hard": True, "dim": 1, "tau": 0.5}),
    ("large", tied, {"hard": True}),
]:
    case("gumbel_softmax", id, [args], f=lambda x, options=options: F.gumbel_softmax(x, rng=key, **options))
