"""Cases of activations."""

import numpy as np

from .table import module, normal, positive

CORNERS = np.array([-6.0, -3.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0, 6.0])  # where one of them has a kink
FAR = np.array([-1e4, -50.0, -19.0, 0.7, 19.0, 21.0, 50.0, 1e4])

TINY = ["Sigmoid", "LogSigmoid", "Tanh", "SiLU", "Mish", "Softplus", "GELU"]  # whose slopes are, far out


def cases(name, *options):
    """An activation with its defaults: images, its kinks, far out, nothing; and with each of these options."""
    for id, input in [("images", normal(2, 3, 2, 2)), ("kinks", CORNERS), ("far out", FAR), ("empty", normal(0, 3))]:
        module(name, id, lambda lib: getattr(lib.nn, name)(), [input], entrywise=id == "far out" and name in TINY)
    for given in options:
        id = ", ".join(f"{k}={v}" for k, v in given.items())
        module(name, id, lambda lib, given=given: getattr(lib.nn, name)(**given), [np.concatenate([CORNERS, normal(5)])])


for name in ["Sigmoid", "LogSigmoid", "Tanh", "Tanhshrink", "Softsign", "ReLU", "ReLU6", "Hardswish", "SELU", "SiLU", "Mish"]:
    cases(name)
cases("Softplus", {"beta": 2.0}, {"threshold": 1.0}, {"beta": -1.0, "threshold": 2.0})
cases("Hardtanh", {"min_val": -2.0}, {"min_val": 0.5, "max_val": 3.0})
cases("Hardshrink", {"lambd": 0.0}, {"lambd": 2.0}, {"lambd": -1.0})
cases("Softshrink", {"lambd": 0.0}, {"lambd": 2.0})
cases("LeakyReLU", {"negative_slope": 0.3}, {"negative_slope": -0.3}, {"negative_slope": 0.0})
cases("ELU", {"alpha": 0.3}, {"alpha": 0.0}, {"alpha": -0.3})
cases("CELU", {"alpha": 0.25}, {"alpha": -2.0})  # PyTorch holds α to float32: what it has exactly
cases("GELU", {"approximate": "tanh"})
for id, input, threshold, value in [
    ("images", normal(2, 3, 2, 2), 0.1, 20.0),
    ("kinks", CORNERS, 0.5, -7.0),
    ("negative", CORNERS, -1.0, 0.0),
    ("far out", FAR, 3.0, 3.0),
]:
    module("Threshold", id, lambda lib, t=threshold, v=value: lib.nn.Threshold(t, v), [input])

# PyTorch's backward of hardsigmoid has 1/6 to the precision of float32: a sixteenth, so that its error stays below the tolerance
for id, input in [("images", normal(2, 3, 2, 2)), ("kinks", CORNERS), ("far out", FAR), ("scalar", normal())]:
    module("Hardsigmoid", id, lambda lib: lambda x: lib.nn.Hardsigmoid()(x) / 16, [input])

module("PReLU", "one weight", lambda lib: lib.nn.PReLU(), [normal(2, 3, 4)])
module("PReLU", "a weight for each channel", lambda lib: lib.nn.PReLU(3), [normal(2, 3, 2, 2)])
module("PReLU", "kinks", lambda lib: lib.nn.PReLU(init=0.5), [CORNERS], keep=True)
module("PReLU", "a weight for each feature", lambda lib: lib.nn.PReLU(4), [normal(5, 4)])
module("PReLU", "scalar", lambda lib: lib.nn.PReLU(), [normal()])
module("PReLU", "batch 0", lambda lib: lib.nn.PReLU(3), [normal(0, 3, 2)])
module("RReLU", "evaluation", lambda lib: lib.nn.RReLU(), [normal(2, 3, 4)], modes=("eval",))
module("RReLU", "evaluation, limits", lambda lib: lib.nn.RReLU(0.2, 0.4), [CORNERS], modes=("eval",))
module("RReLU", "one slope", lambda lib: lib.nn.RReLU(0.3, 0.3), [np.concatenate([CORNERS, FAR])])
module("RReLU", "nothing below 0", lambda lib: lib.nn.RReLU(), [positive(3, 4)])
module("GLU", "last axis", lambda lib: lib.nn.GLU(), [normal(3, 4)])
module("GLU", "first axis", lambda lib: lib.nn.GLU(0), [normal(4, 3)])
module("GLU", "channels of images", lambda lib: lib.nn.GLU(dim=1), [normal(2, 4, 2, 3)])
module("GLU", "far out", lambda lib: lib.nn.GLU(), [np.outer([1.0, -1.0], FAR)], entrywise=True)
