"""Cases of poolings whose windows move by a stride."""

import numpy as np

from .table import apart, module, normal, positive

inf, nan = float("inf"), float("nan")
SPECIAL = np.array([[-inf, -inf, -inf, 2.0, nan, 3.0, nan, 1.0, 5.0, 5.0, 4.0, 5.0]])

module("MaxPool1d", "2", lambda lib: lib.nn.MaxPool1d(2), [apart(2, 3, 8)])
module("MaxPool1d", "unbatched, all options", lambda lib: lib.nn.MaxPool1d((3,), 2, 1, 2, True, True), [apart(3, 10)])
module("MaxPool1d", "NaN, -inf, ties, indices", lambda lib: lib.nn.MaxPool1d(3, 2, 1, return_indices=True), [SPECIAL])
module("MaxPool1d", "long windows of them, indices", lambda lib: lib.nn.MaxPool1d(17, 3, 8, return_indices=True), [np.tile(SPECIAL, 3)])
module("MaxPool1d", "batch 0", lambda lib: lib.nn.MaxPool1d(2), [normal(0, 3, 8)])
module("MaxPool2d", "2", lambda lib: lib.nn.MaxPool2d(2), [apart(2, 3, 7, 6)])
module("MaxPool2d", "overlapping, ties", lambda lib: lib.nn.MaxPool2d(3, stride=2, padding=1), [np.ones((1, 2, 7, 6))])
module("MaxPool2d", "unbatched, all options", lambda lib: lib.nn.MaxPool2d((3, 2), (2, 3), (1, 0), (1, 2), True, True), [apart(2, 8, 9)])
module("MaxPool2d", "large, indices", lambda lib: lib.nn.MaxPool2d(5, 1, 2, return_indices=True), [apart(1, 2, 7, 6)])
module("MaxPool2d", "NaN, -inf, ties, indices", lambda lib: lib.nn.MaxPool2d(2, 1, 1, return_indices=True), [SPECIAL.reshape(1, 3, 4)])
module("MaxPool2d", "large windows of them", lambda lib: lib.nn.MaxPool2d(5, 2, 2, 1, True), [np.tile(SPECIAL.reshape(1, 3, 4), (1, 2, 2))])
module("MaxPool2d", "all -inf, indices", lambda lib: lib.nn.MaxPool2d(3, 1, 1, return_indices=True), [np.full((1, 4, 5), -inf)])
module("MaxPool2d", "gaps", lambda lib: lib.nn.MaxPool2d(1, 2), [apart(1, 1, 5, 5)])
module("MaxPool3d", "2", lambda lib: lib.nn.MaxPool3d(2), [apart(1, 2, 4, 5, 4)])
module("MaxPool3d", "unbatched, all options", lambda lib: lib.nn.MaxPool3d(3, 2, 1, (1, 2, 1), True, True), [apart(2, 4, 5, 4)])
module("MaxPool3d", "few, indices", lambda lib: lib.nn.MaxPool3d((2, 2, 1), 1, (1, 1, 0), return_indices=True), [apart(1, 1, 3, 3, 2)])
module("MaxPool3d", "all -inf, indices", lambda lib: lib.nn.MaxPool3d(3, 1, 1, return_indices=True), [np.full((1, 3, 3, 4), -inf)])
module("max_pool1d_with_indices", "2", lambda lib: lambda x: lib.F.max_pool1d_with_indices(x, 2), [apart(2, 3, 8)])
module("max_pool1d_with_indices", "stride", lambda lib: lambda x: lib.F.max_pool1d_with_indices(x, 3, 1), [apart(3, 8)])
module("max_pool1d_with_indices", "padding", lambda lib: lambda x: lib.F.max_pool1d_with_indices(x, 3, 2, 1, 1), [apart(3, 8)])
module("max_pool1d_with_indices", "ceil", lambda lib: lambda x: lib.F.max_pool1d_with_indices(x, 3, 2, 1, 2, True), [apart(3, 8)])
module("max_pool2d_with_indices", "2", lambda lib: lambda x: lib.F.max_pool2d_with_indices(x, 2), [apart(2, 4, 5)])
module("max_pool2d_with_indices", "stride", lambda lib: lambda x: lib.F.max_pool2d_with_indices(x, 3, 1), [apart(1, 2, 4, 5)])
module("max_pool2d_with_indices", "padding", lambda lib: lambda x: lib.F.max_pool2d_with_indices(x, 3, 2, 1), [apart(2, 4, 5)])
module("max_pool2d_with_indices", "ceil", lambda lib: lambda x: lib.F.max_pool2d_with_indices(x, 3, 2, 1, ceil_mode=True), [apart(2, 4, 6)])
module("max_pool3d_with_indices", "2", lambda lib: lambda x: lib.F.max_pool3d_with_indices(x, 2), [apart(1, 2, 4, 5)])
module("max_pool3d_with_indices", "stride", lambda lib: lambda x: lib.F.max_pool3d_with_indices(x, 2, (1, 2, 1)), [apart(1, 1, 2, 4, 3)])
module("max_pool3d_with_indices", "padding", lambda lib: lambda x: lib.F.max_pool3d_with_indices(x, 2, padding=1), [apart(1, 2, 4, 3)])
module("max_pool3d_with_indices", "ceil", lambda lib: lambda x: lib.F.max_pool3d_with_indices(x, 2, ceil_mode=True), [apart(1, 3, 2, 3)])


def back(name, n, *pooling, **options):
    """What a pooling took, put back."""

    def make(lib):
        pool = getattr(lib.nn, f"MaxPool{n}d")(*pooling, return_indices=True)
        unpool = getattr(lib.nn, f"MaxUnpool{n}d")(*pooling)
        return lambda x: unpool(*pool(x), **options)

    return make


def indices(*shape, high):
    """Indices of which no two in a channel are the same."""
    return np.broadcast_to(np.random.default_rng(0).permutation(high)[: np.prod(shape[1:])].reshape(shape[1:]), shape).copy()


module("MaxUnpool1d", "2", lambda lib: lib.nn.MaxUnpool1d(2), [normal(2, 3, 4), indices(2, 1, 4, high=8).repeat(3, 1)])
module("MaxUnpool1d", "of a pooling", back("MaxUnpool1d", 1, 3, 2, 1), [apart(2, 3, 9)])
module("MaxUnpool1d", "output size", back("MaxUnpool1d", 1, 2, output_size=(9,)), [apart(3, 9)])
module("MaxUnpool1d", "the whole shape", back("MaxUnpool1d", 1, 2, output_size=(1, 3, 9)), [apart(1, 3, 9)])
module("MaxUnpool2d", "2", lambda lib: lib.nn.MaxUnpool2d(2), [normal(2, 1, 2, 3), indices(2, 1, 2, 3, high=24)])
module("MaxUnpool2d", "of an overlapping pooling", back("MaxUnpool2d", 2, 3, 1, 1), [apart(1, 2, 4, 5)])
module("MaxUnpool2d", "output size", back("MaxUnpool2d", 2, (2, 3), output_size=(5, 7)), [apart(2, 5, 7)])
module("MaxUnpool2d", "the whole shape", back("MaxUnpool2d", 2, 2, output_size=[1, 2, 5, 4]), [apart(1, 2, 5, 4)])
module("MaxUnpool2d", "batch 0", back("MaxUnpool2d", 2, 2), [normal(0, 2, 4, 4)])
module("MaxUnpool3d", "2", lambda lib: lib.nn.MaxUnpool3d(2), [normal(2, 1, 1, 2, 2), indices(2, 1, 1, 2, 2, high=32)])
module("MaxUnpool3d", "of an overlapping pooling", back("MaxUnpool3d", 3, 3, 2, 1), [apart(1, 2, 5, 3, 5)])
module("MaxUnpool3d", "output size", back("MaxUnpool3d", 3, 2, output_size=(5, 4, 3)), [apart(2, 5, 4, 3)])
module("MaxUnpool3d", "unbatched", back("MaxUnpool3d", 3, (2, 1, 2)), [apart(2, 4, 2, 4)])

module("AvgPool1d", "2", lambda lib: lib.nn.AvgPool1d(2), [normal(2, 3, 8)])
module("AvgPool1d", "padding, ceil", lambda lib: lib.nn.AvgPool1d(3, 2, 1, True), [normal(3, 8)])
module("AvgPool1d", "padding not counted", lambda lib: lib.nn.AvgPool1d((3,), (2,), (1,), True, False), [normal(1, 2, 8)])
module("AvgPool1d", "long", lambda lib: lib.nn.AvgPool1d(11, 3, 5), [normal(2, 15)])
module("AvgPool1d", "NaN, inf", lambda lib: lib.nn.AvgPool1d(2, 1), [np.array([[1.0, 2.0, nan, 3.0, 4.0, inf, 5.0, 6.0, 7.0]])])
module("AvgPool2d", "2", lambda lib: lib.nn.AvgPool2d(2), [normal(2, 3, 7, 6)])
module("AvgPool2d", "padding, ceil", lambda lib: lib.nn.AvgPool2d(3, 2, 1, True), [normal(1, 2, 6, 5)])
module("AvgPool2d", "padding not counted", lambda lib: lib.nn.AvgPool2d((3, 2), (2, 3), (1, 1), True, False), [normal(2, 6, 7)])
module("AvgPool2d", "divisor", lambda lib: lib.nn.AvgPool2d(2, 1, divisor_override=3), [normal(2, 4, 5)])
module("AvgPool2d", "ceil, divisor", lambda lib: lib.nn.AvgPool2d(2, 3, 1, True, False, 2), [normal(2, 4, 6)])
module("AvgPool2d", "batch 0", lambda lib: lib.nn.AvgPool2d(2), [normal(0, 2, 4, 5)])
module("AvgPool3d", "2", lambda lib: lib.nn.AvgPool3d(2), [normal(1, 2, 4, 5, 4)])
module("AvgPool3d", "padding, ceil", lambda lib: lib.nn.AvgPool3d(3, 2, 1, True), [normal(1, 4, 5, 3)])
module("AvgPool3d", "padding not counted", lambda lib: lib.nn.AvgPool3d(2, 2, (1, 0, 1), count_include_pad=False), [normal(1, 4, 5, 3)])
module("AvgPool3d", "divisor", lambda lib: lib.nn.AvgPool3d((1, 2, 3), 2, divisor_override=4), [normal(1, 3, 4, 5)])

module("LPPool1d", "2", lambda lib: lib.nn.LPPool1d(2, 2), [normal(2, 3, 8)])
module("LPPool1d", "1, sums of 0", lambda lib: lib.nn.LPPool1d(1, 2), [np.array([[1.0, -1.0, 2.0, 3.0, 0.0, 0.0]])])
module("LPPool1d", "3, ceil", lambda lib: lib.nn.LPPool1d(3, 3, stride=2, ceil_mode=True), [positive(3, 8)])
module("LPPool1d", "3, some negative", lambda lib: lib.nn.LPPool1d(3, 2), [np.array([[2.0, -1.0, -0.5, 1.5, 3.0, 0.0]])])
module("LPPool1d", "inf", lambda lib: lib.nn.LPPool1d(inf, 3, 2), [np.array([[1.0, -3.0, 2.0, 2.0, -2.0, 0.0, 0.0, 0.0]])])
module("LPPool2d", "2", lambda lib: lib.nn.LPPool2d(2, (2, 3)), [normal(2, 2, 4, 6)])
module("LPPool2d", "zeros", lambda lib: lib.nn.LPPool2d(2, 2), [np.pad(normal(1, 3, 3), [(0, 0), (0, 3), (0, 3)])])
module("LPPool2d", "1.5, ceil", lambda lib: lib.nn.LPPool2d(1.5, 3, 2, True), [positive(2, 6, 6)])
module("LPPool2d", "-inf", lambda lib: lib.nn.LPPool2d(-inf, 2), [apart(2, 4, 4) - 2.3])
module("LPPool2d", "-2", lambda lib: lib.nn.LPPool2d(-2, 2), [normal(2, 4, 4)])
module("LPPool2d", "inf, ceil", lambda lib: lib.nn.LPPool2d(inf, 2, ceil_mode=True), [apart(2, 3, 5) - 2.3])
module("LPPool3d", "2", lambda lib: lib.nn.LPPool3d(2, 2), [normal(1, 2, 4, 2, 4)])
module("LPPool3d", "3, ceil", lambda lib: lib.nn.LPPool3d(3, (1, 2, 2), 2, True), [positive(1, 3, 3, 4)])
module("LPPool3d", "0.5", lambda lib: lib.nn.LPPool3d(0.5, 2, 1), [positive(1, 2, 3, 3)])
module("LPPool3d", "inf", lambda lib: lib.nn.LPPool3d(inf, 2), [apart(1, 2, 4, 4) - 2.3])
