"""Cases of dropout."""

import jax

import bpjax.functional as F

from .table import case, normal, x

key = jax.random.key(1)
for shape in [(8, 8), (3, 5)]:
    case("dropout", f"training {shape}", [normal(*shape)], f=lambda x: F.dropout(x, 0.3, rng=key))
case("dropout", "evaluation", [x], training=False)
case("dropout", "everything", [x], f=lambda x: F.dropout(x, 1.0, rng=key))
case("dropout", "nothing", [x], f=lambda x: F.dropout(x, 0.0, rng=key))
