"""Cases of BatchNorm and InstanceNorm."""

import jax.numpy as jnp
import numpy as np

import bpjax.functional as F

from .table import case, normal, positive, x

stats = [normal(6, seed=2), positive(6)]
case("batch_norm", "training", [x, *stats, normal(6), normal(6, seed=1)], training=True)
case(
    "batch_norm", "training, many examples far from 0", [5 + normal(512, 2), *[s[:2] for s in stats], normal(2)], narrow=True, training=True
)
case("batch_norm", "training, plain", [x], f=lambda x: F.batch_norm(x, None, None, training=True))
case("batch_norm", "training, with a length", [normal(4, 3, 5), normal(3)], f=lambda x, w: F.batch_norm(x, None, None, w, training=True))
case("batch_norm", "training, one volume", [normal(1, 2, 2, 1, 3), normal(2)], f=lambda x, b: F.batch_norm(x, None, None, None, b, True))
case("batch_norm", "training, variance 0", [np.ones((3, 2)), normal(2)], f=lambda x, w: F.batch_norm(x, None, None, w, training=True))
case("batch_norm", "training, batch 0", [normal(0, 2), normal(2)], f=lambda x, w: F.batch_norm(x, None, None, w, training=True))
case("batch_norm", "evaluation", [x, *stats, normal(6), normal(6, seed=1)])
case("batch_norm", "evaluation, plain", [normal(2, 6, 3), *stats])

for id, training in [("training", True), ("evaluation", False)]:
    nothing = [normal(0), *stats, normal(6), normal(6, seed=1)]
    case("batch_norm", f"{id}, no axis of channels", nothing, training=training)

cube = [normal(4, 4, 4), normal(4, seed=2), positive(4), normal(4), normal(4, seed=1)]
case("instance_norm", "affine", [cube[0], *cube[3:]], f=lambda x, w, b: F.instance_norm(x, None, None, w, b))
case("instance_norm", "statistics not used", cube)
case("instance_norm", "plain, images", [normal(2, 3, 2, 3)], eps=0.1)
case("instance_norm", "running statistics", cube, use_input_stats=False)
case("instance_norm", "running statistics, one value", [normal(1, 4, 1), *cube[1:3]], use_input_stats=False)
case("instance_norm", "variance 0", [np.ones((2, 3, 2)), normal(3)], f=lambda x, w: F.instance_norm(x, weight=w))
case("instance_norm", "batch 0", [normal(0, 3, 2), normal(3)], f=lambda x, w: F.instance_norm(x, weight=w))


def both(statistics, **options):
    return lambda *arrays: jnp.stack(statistics(*arrays, **options))


for name in ("batch_norm_statistics", "instance_norm_statistics"):
    statistics = getattr(F, name)
    case(name, "momentum 0.1", cube[:3], f=both(statistics))
    case(name, "momentum 1", cube[:3], f=both(statistics, momentum=1.0))
    case(name, "one value", [normal(1, 4, 1), *cube[1:3]], f=both(statistics, momentum=0.5))
    case(name, "batch 0", [normal(0, 4, 2), *cube[1:3]], f=both(statistics))
