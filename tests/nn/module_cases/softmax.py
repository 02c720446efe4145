"""Cases of the softmax family."""

import jax
import numpy as np

from .table import BPJAX, module, normal

TIED = np.array([[1e4, 1e4, 0.0], [-1e4, 5.0, 5.0]])
for name in ["Softmax", "Softmin", "LogSoftmax"]:
    for id, dim, input in [
        ("last axis", -1, normal(3, 4)),
        ("first axis", 0, normal(3, 4)),
        ("in the middle", 1, normal(2, 3, 2)),
        ("far out and tied", 1, TIED),
        ("scalar", 0, normal()),
        ("empty", 1, normal(2, 0)),
    ]:
        module(name, id, lambda lib, name=name, dim=dim: getattr(lib.nn, name)(dim), [input])
module("Softmax2d", "images", lambda lib: lib.nn.Softmax2d(), [normal(2, 3, 4, 5)])
module("Softmax2d", "one image", lambda lib: lib.nn.Softmax2d(), [normal(3, 2, 2)])
module("Softmax2d", "one channel", lambda lib: lib.nn.Softmax2d(), [normal(2, 1, 2, 2)])
module("Softmax2d", "batch 0", lambda lib: lib.nn.Softmax2d(), [normal(0, 3, 2, 2)])


def gumbel(lib, **options):
    """With logits so far apart that what is drawn changes nothing it can be held against PyTorch."""
    if lib is BPJAX:
        options["rng"] = jax.random.key(0)
    return lambda x: lib.F.gumbel_softmax(x, **options)


APART = np.array([[1e4, 0.0, -1e4], [-1e4, 2e4, 0.0]])
module("gumbel_softmax", "far apart", lambda lib: gumbel(lib), [APART])
module("gumbel_softmax", "hard, first axis", lambda lib: gumbel(lib, hard=True, dim=0), [APART])
module("gumbel_softmax", "hard, hot", lambda lib: gumbel(lib, tau=5.0, hard=True), [APART])
module("gumbel_softmax", "of one", lambda lib: gumbel(lib, tau=0.3), [normal(3, 1)])
