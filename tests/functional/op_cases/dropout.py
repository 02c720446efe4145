"""Cases of dropout."""

import jax

import bpjax.functional as F

from .table import case, normal, x

key = jax.random.key(1)
SHAPES = {
    "dropout": [(8, 8), (3, 5)],
    "dropout1d": [(4, 4, 4), (3, 5)],
    "dropout2d": [(4, 4, 2, 2), (3, 5, 2), (1, 3, 3, 1)],
    "dropout3d": [(4, 4, 2, 1, 2), (5, 2, 1, 3)],
    "alpha_dropout": [(8, 8), (3, 5)],
    "feature_alpha_dropout": [(4, 4, 2), (3, 5)],
}


def training(name, id, shape, p):
    case(name, id, [normal(*shape)], f=lambda x: getattr(F, name)(x, p, True, rng=key))


for name, shapes in SHAPES.items():
    for shape in shapes:
        training(name, f"training {shape}", shape, 0.3)
    case(name, "evaluation", [x], training=False)
    training(name, "everything", shapes[0], 1.0)
    training(name, "nothing", shapes[-1], 0.0)
    training(name, "batch 0", (0, *shapes[0][1:]), 0.5)
