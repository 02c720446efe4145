"""Cases of poolings to a given size."""

import numpy as np

from .pooling import SPECIAL
from .table import apart, module, normal, unit

module("AdaptiveAvgPool1d", "uneven", lambda lib: lib.nn.AdaptiveAvgPool1d(3), [normal(2, 3, 7)])
module("AdaptiveAvgPool1d", "even, unbatched", lambda lib: lib.nn.AdaptiveAvgPool1d((4,)), [normal(3, 8)])
module("AdaptiveAvgPool1d", "to more", lambda lib: lib.nn.AdaptiveAvgPool1d(11), [normal(3, 7)])
module("AdaptiveAvgPool1d", "NaN, inf", lambda lib: lib.nn.AdaptiveAvgPool1d(5), [SPECIAL])
module("AdaptiveAvgPool2d", "uneven", lambda lib: lib.nn.AdaptiveAvgPool2d((3, 4)), [normal(2, 3, 7, 5)])
module("AdaptiveAvgPool2d", "one size kept", lambda lib: lib.nn.AdaptiveAvgPool2d((None, 2)), [normal(2, 4, 5)])
module("AdaptiveAvgPool2d", "both kept", lambda lib: lib.nn.AdaptiveAvgPool2d([None, None]), [normal(2, 4, 5)])
module("AdaptiveAvgPool2d", "to one", lambda lib: lib.nn.AdaptiveAvgPool2d(1), [normal(2, 3, 4, 5)])
module("AdaptiveAvgPool2d", "more and fewer", lambda lib: lib.nn.AdaptiveAvgPool2d((6, 3)), [normal(1, 2, 3, 8)])
module("AdaptiveAvgPool2d", "batch 0", lambda lib: lib.nn.AdaptiveAvgPool2d(2), [normal(0, 3, 4, 5)])
module("AdaptiveAvgPool3d", "uneven", lambda lib: lib.nn.AdaptiveAvgPool3d(2), [normal(1, 2, 3, 5, 3)])
module("AdaptiveAvgPool3d", "sizes kept", lambda lib: lib.nn.AdaptiveAvgPool3d((None, 2, None)), [normal(1, 3, 5, 3)])
module("AdaptiveAvgPool3d", "even", lambda lib: lib.nn.AdaptiveAvgPool3d((2, 1, 3)), [normal(1, 4, 2, 3)])
module("AdaptiveAvgPool3d", "to more", lambda lib: lib.nn.AdaptiveAvgPool3d(3), [normal(1, 2, 1, 2)])

module("AdaptiveMaxPool1d", "uneven", lambda lib: lib.nn.AdaptiveMaxPool1d(3), [apart(2, 3, 7)])
module("AdaptiveMaxPool1d", "even, unbatched, indices", lambda lib: lib.nn.AdaptiveMaxPool1d((4,), True), [apart(3, 8)])
module("AdaptiveMaxPool1d", "NaN, -inf, ties, indices", lambda lib: lib.nn.AdaptiveMaxPool1d(5, return_indices=True), [SPECIAL])
module("AdaptiveMaxPool1d", "to one, indices", lambda lib: lib.nn.AdaptiveMaxPool1d(1, True), [apart(1, 2, 37)])
module("AdaptiveMaxPool2d", "uneven", lambda lib: lib.nn.AdaptiveMaxPool2d((3, 4)), [apart(2, 3, 7, 5)])
module("AdaptiveMaxPool2d", "one size kept, indices", lambda lib: lib.nn.AdaptiveMaxPool2d((None, 2), True), [apart(2, 4, 5)])
module("AdaptiveMaxPool2d", "ties, indices", lambda lib: lib.nn.AdaptiveMaxPool2d((5, 3), True), [np.ones((1, 2, 7, 5))])
module("AdaptiveMaxPool2d", "NaN, -inf, indices", lambda lib: lib.nn.AdaptiveMaxPool2d((2, 3), True), [SPECIAL.reshape(1, 3, 4)])
module("AdaptiveMaxPool2d", "batch 0", lambda lib: lib.nn.AdaptiveMaxPool2d(2), [normal(0, 3, 4, 5)])
module("AdaptiveMaxPool3d", "uneven, indices", lambda lib: lib.nn.AdaptiveMaxPool3d(2, True), [apart(1, 2, 3, 5, 3)])
module("AdaptiveMaxPool3d", "sizes kept", lambda lib: lib.nn.AdaptiveMaxPool3d((None, 2, None)), [apart(1, 3, 5, 3)])
module("AdaptiveMaxPool3d", "even", lambda lib: lib.nn.AdaptiveMaxPool3d((2, 1, 3)), [apart(1, 4, 2, 3)])
module("AdaptiveMaxPool3d", "to more, indices", lambda lib: lib.nn.AdaptiveMaxPool3d(3, True), [apart(1, 2, 1, 2)])
for n, shape in ((1, (9,)), (2, (5, 4)), (3, (3, 4, 2))):
    name = f"adaptive_max_pool{n}d_with_indices"
    module(name, "uneven", lambda lib, f=name: lambda x: getattr(lib.F, f)(x, 2), [apart(1, 2, *shape)])
    module(name, "unbatched", lambda lib, f=name: lambda x: getattr(lib.F, f)(x, 3), [apart(2, *shape)])
    module(name, "to one", lambda lib, f=name: lambda x: getattr(lib.F, f)(x, 1), [apart(2, *shape)])
    module(name, "to more", lambda lib, f=name: lambda x: getattr(lib.F, f)(x, 5), [apart(1, 1, *shape)])


def fractional(n, *options, samples, **more):
    return lambda lib: getattr(lib.nn, f"FractionalMaxPool{n}d")(*options, _random_samples=lib.array(unit(*samples)), **more)


def by_function(name, *options, samples, **more):
    return lambda lib: lambda x: getattr(lib.F, name)(x, *options, _random_samples=lib.array(unit(*samples)), **more)


module("FractionalMaxPool2d", "size", fractional(2, 2, 4, samples=(2, 3, 2)), [apart(2, 3, 7, 9)], keep=True)
module(
    "FractionalMaxPool2d", "ratio, indices", fractional(2, (3, 2), None, (0.5, 0.6), True, samples=(1, 2, 2)), [apart(2, 8, 7)], keep=True
)
module("FractionalMaxPool2d", "one ratio", fractional(2, 2, output_ratio=0.5, samples=(1, 2, 2)), [apart(2, 8, 9)], keep=True)
module(
    "FractionalMaxPool2d",
    "ties, indices",
    fractional(2, 3, (4, 1), return_indices=True, samples=(1, 2, 2)),
    [np.ones((1, 2, 7, 6))],
    keep=True,
)
module("FractionalMaxPool2d", "more samples", fractional(2, 1, 2, samples=(3, 1, 2)), [apart(2, 1, 5, 5)], keep=True)
module("FractionalMaxPool2d", "drawn", lambda lib: lib.nn.FractionalMaxPool2d(2, 3), [apart(1, 2, 7, 7)], modes=("train",), parity=False)
module("FractionalMaxPool3d", "size", fractional(3, 2, 3, samples=(2, 1, 3)), [apart(2, 1, 5, 6, 5)], keep=True)
module(
    "FractionalMaxPool3d",
    "ratio, indices",
    fractional(3, (3, 2, 1), None, (0.4, 0.6, 0.5), True, samples=(1, 2, 3)),
    [apart(2, 6, 5, 6)],
    keep=True,
)
module(
    "FractionalMaxPool3d",
    "ties, indices",
    fractional(3, 2, (2, 1, 3), return_indices=True, samples=(1, 1, 3)),
    [np.ones((1, 1, 5, 4, 6))],
    keep=True,
)
module("FractionalMaxPool3d", "one ratio", fractional(3, 2, output_ratio=0.5, samples=(1, 2, 3)), [apart(2, 6, 5, 4)], keep=True)
module("FractionalMaxPool3d", "drawn", lambda lib: lib.nn.FractionalMaxPool3d(2, 3), [apart(1, 5, 5, 5)], modes=("train",), parity=False)
for n, shape in ((2, (7, 9)), (3, (5, 6, 5))):
    name = f"fractional_max_pool{n}d_with_indices"
    module(name, "size", by_function(name, 2, 3, samples=(2, 1, n)), [apart(2, 1, *shape)])
    module(name, "unbatched", by_function(name, 2, 3, samples=(1, 2, n)), [apart(2, *shape)])
    module(name, "ratio", by_function(name, 2, None, (0.5,) * n, samples=(1, 2, n)), [apart(2, *shape)])
    module(name, "to one", by_function(name, 2, 1, samples=(1, 2, n)), [apart(2, *shape)])
