"""Cases of dropout. What training draws is not what PyTorch draws; where everything or nothing is dropped it is held against PyTorch."""

import numpy as np

from .table import module, normal

SHAPES = {
    "Dropout": [(3, 4), ()],
    "Dropout1d": [(2, 3, 4), (3, 4)],
    "Dropout2d": [(2, 3, 2, 2), (1, 4, 3, 1)],
    "Dropout3d": [(2, 3, 2, 1, 2), (3, 2, 1, 2)],
    "AlphaDropout": [(3, 4), ()],
    "FeatureAlphaDropout": [(2, 3, 4), (3, 4)],
}
for name, (shape, other) in SHAPES.items():

    def of(p, name=name):
        return lambda lib: getattr(lib.nn, name)(p)

    module(name, "evaluation", of(0.5), [normal(*shape)], modes=("eval",))
    module(name, "evaluation, another shape", of(0.5), [normal(*other)], modes=("eval",))
    module(name, "nothing", of(0.0), [normal(*shape)])
    module(name, "everything", of(1.0), [normal(*shape)])
    module(name, "everything, another shape", of(1), [normal(*other)])
    module(name, "batch 0", of(0.3), [normal(0, *shape[1:])])
    module(name, "training", of(0.3), [np.ones(shape)], modes=("train",), parity=False)
