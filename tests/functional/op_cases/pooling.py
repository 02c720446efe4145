"""Cases of poolings whose windows move by a stride."""

import jax.numpy as jnp
import numpy as np

import bpjax.functional as F

from .table import apart, case, normal, positive


def first_of(op, **options):
    """The values alone, of a function that also returns indices."""
    return lambda x: getattr(F, op)(x, **options)[0]


case("max_pool1d", "2", [apart(2, 6, 6)], kernel_size=2)
case(
    "max_pool1d",
    "overlapping, indices",
    [apart(2, 3, 9)],
    f=first_of("max_pool1d", kernel_size=3, stride=2, padding=1, return_indices=True),
)
case("max_pool1d", "long", [apart(2, 60)], kernel_size=21, stride=4, padding=10)
case(
    "max_pool1d",
    "long, dilated, ties",
    [np.ones((1, 2, 70))],
    kernel_size=19,
    stride=3,
    padding=9,
    dilation=2,
    ceil_mode=True,
    smooth=False,
)
case("max_pool1d_with_indices", "2", [apart(2, 6, 6)], f=first_of("max_pool1d_with_indices", kernel_size=2))
case("max_pool1d_with_indices", "gaps", [apart(2, 8)], f=first_of("max_pool1d_with_indices", kernel_size=2, stride=3))
case("max_pool1d_with_indices", "size 1", [apart(3, 1)], f=first_of("max_pool1d_with_indices", kernel_size=1))
case("max_pool1d_with_indices", "batch 0", [apart(0, 2, 4)], f=first_of("max_pool1d_with_indices", kernel_size=2))

case("max_pool2d", "2", [apart(2, 3, 6, 6)], kernel_size=2)
case("max_pool2d", "a rest that no window covers", [apart(2, 7, 8)], kernel_size=(2, 3))
case("max_pool2d", "overlapping", [apart(2, 3, 7, 6)], kernel_size=3, stride=2, padding=1)
case("max_pool2d", "dilated", [apart(3, 9, 8)], kernel_size=(3, 2), stride=1, dilation=2)
case("max_pool2d", "ceil", [apart(1, 2, 7, 8)], kernel_size=3, stride=(2, 3), ceil_mode=True)
case("max_pool2d", "ceil, padding", [apart(1, 2, 6, 5)], kernel_size=2, stride=2, padding=1, ceil_mode=True)
case("max_pool2d", "gaps", [apart(1, 2, 8, 8)], kernel_size=2, stride=3)
case("max_pool2d", "ties", [np.ones((1, 1, 6, 6))], kernel_size=3, stride=2, padding=1, smooth=False)
case("max_pool2d", "5 by 5, ties", [np.ones((1, 1, 7, 6))], kernel_size=5, stride=1, padding=2, smooth=False)
case("max_pool2d", "7 by 6", [apart(2, 9, 9)], kernel_size=(7, 6), stride=2, padding=3)
case("max_pool2d", "all of it", [apart(2, 6, 5)], kernel_size=(6, 5))
case("max_pool2d", "windows of padding alone", [apart(1, 1, 7)], kernel_size=(2, 3), stride=1, padding=1, dilation=(2, 1))
case("max_pool2d_with_indices", "2", [apart(2, 3, 6, 6)], f=first_of("max_pool2d_with_indices", kernel_size=2))
case(
    "max_pool2d_with_indices", "overlapping", [apart(2, 3, 7, 6)], f=first_of("max_pool2d_with_indices", kernel_size=3, stride=2, padding=1)
)
case(
    "max_pool2d_with_indices", "ties", [np.ones((1, 1, 6, 6))], f=first_of("max_pool2d_with_indices", kernel_size=3, stride=2), smooth=False
)
case("max_pool2d_with_indices", "size 1", [apart(1, 1, 1, 1)], f=first_of("max_pool2d_with_indices", kernel_size=1))

case("max_pool3d", "2", [apart(1, 4, 4, 4)], kernel_size=2)
case("max_pool3d", "overlapping", [apart(1, 5, 4, 5)], kernel_size=3, stride=2, padding=1)
case(
    "max_pool3d",
    "few taps, dilated, ceil",
    [apart(1, 5, 4, 5)],
    kernel_size=(2, 1, 3),
    stride=2,
    padding=(1, 0, 1),
    dilation=(1, 2, 1),
    ceil_mode=True,
)
case("max_pool3d", "ties", [np.ones((1, 3, 4, 5))], kernel_size=3, stride=1, padding=1, smooth=False)
case("max_pool3d_with_indices", "2", [apart(1, 4, 4, 4)], f=first_of("max_pool3d_with_indices", kernel_size=2))
case("max_pool3d_with_indices", "overlapping", [apart(1, 5, 4, 5)], f=first_of("max_pool3d_with_indices", kernel_size=(3, 2, 2), stride=1))
case("max_pool3d_with_indices", "gaps", [apart(1, 5, 5, 5)], f=first_of("max_pool3d_with_indices", kernel_size=1, stride=3))
case("max_pool3d_with_indices", "batch 0", [apart(0, 1, 2, 2, 2)], f=first_of("max_pool3d_with_indices", kernel_size=2))


def unpool(op, indices, **options):
    return lambda x: getattr(F, op)(x, jnp.asarray(indices), **options)


def taken(*shape, high, seed=0):
    """Indices of which no two in a channel are the same."""
    rng, rows = np.random.default_rng(seed), int(np.prod(shape[:2]))
    return np.stack([rng.permutation(high)[: int(np.prod(shape[2:]))] for _ in range(rows)]).reshape(shape)


case("max_unpool1d", "2", [normal(3, 4, 4)], f=unpool("max_unpool1d", taken(3, 4, 4, high=8), kernel_size=2))
case(
    "max_unpool1d",
    "unbatched, overlapping",
    [np.ones((1, 3))],
    f=unpool("max_unpool1d", [[2, 2, 5]], kernel_size=3, stride=2, padding=1, output_size=[6]),
)
case("max_unpool1d", "larger", [normal(2, 2, 3)], f=unpool("max_unpool1d", taken(2, 2, 3, high=7), kernel_size=2, output_size=(2, 2, 7)))
case("max_unpool1d", "batch 0", [normal(0, 2, 3)], f=unpool("max_unpool1d", np.zeros((0, 2, 3), int), kernel_size=2))
case(
    "max_unpool1d",
    "an index out of range in one channel",
    [normal(1, 2, 3)],
    f=unpool("max_unpool1d", [[[0, 9, 2], [0, 1, 4]]], kernel_size=2),
)
case("max_unpool2d", "2", [normal(2, 2, 3, 3)], f=unpool("max_unpool2d", taken(2, 2, 3, 3, high=36), kernel_size=2))
case("max_unpool2d", "unbatched", [normal(2, 3, 2)], f=unpool("max_unpool2d", taken(1, 2, 3, 2, high=24)[0], kernel_size=2))
case(
    "max_unpool2d", "smaller", [normal(1, 2, 3, 2)], f=unpool("max_unpool2d", taken(1, 2, 3, 2, high=15), kernel_size=2, output_size=[5, 3])
)
case(
    "max_unpool2d",
    "stride, padding",
    [normal(1, 2, 3, 2)],
    f=unpool("max_unpool2d", taken(1, 2, 3, 2, high=15), kernel_size=3, stride=2, padding=(1, 1)),
)
case("max_unpool3d", "2", [normal(1, 2, 2, 2, 2)], f=unpool("max_unpool3d", taken(1, 2, 2, 2, 2, high=64), kernel_size=2))
case("max_unpool3d", "unbatched", [normal(2, 1, 2, 3)], f=unpool("max_unpool3d", taken(1, 2, 1, 2, 3, high=48)[0], kernel_size=2))
case(
    "max_unpool3d",
    "output size",
    [normal(1, 1, 2, 2, 1)],
    f=unpool("max_unpool3d", taken(1, 1, 2, 2, 1, high=45), kernel_size=2, output_size=(5, 3, 3)),
)
case("max_unpool3d", "size 1", [normal(1, 1, 1, 1, 1)], f=unpool("max_unpool3d", np.zeros((1, 1, 1, 1, 1), int), kernel_size=1))

case("avg_pool1d", "2", [normal(2, 6, 6)], kernel_size=2)
case("avg_pool1d", "overlapping, padding", [normal(2, 7)], kernel_size=3, stride=2, padding=1)
case("avg_pool1d", "padding not counted", [normal(1, 2, 7)], kernel_size=3, stride=2, padding=1, ceil_mode=True, count_include_pad=False)
case("avg_pool1d", "long", [normal(2, 41)], kernel_size=21, stride=4, padding=10, ceil_mode=True)
case("avg_pool1d", "many windows on each value", [normal(2, 200)], kernel_size=100, stride=1, narrow=True)
case("avg_pool2d", "2", [normal(2, 3, 6, 6)], kernel_size=2)
case("avg_pool2d", "a rest that no window covers", [normal(2, 7, 8)], kernel_size=(2, 3))
case("avg_pool2d", "overlapping, ceil", [normal(1, 2, 6, 5)], kernel_size=3, stride=2, padding=1, ceil_mode=True)
case("avg_pool2d", "gaps, divisor", [normal(1, 2, 8, 8)], kernel_size=2, stride=3, divisor_override=3)
case("avg_pool2d", "long, gaps", [normal(2, 11, 20)], kernel_size=(10, 1), stride=(1, 2))
case("avg_pool2d", "batch 0", [normal(0, 1, 4, 4)], kernel_size=2)
case("avg_pool3d", "2", [normal(1, 4, 4, 4)], kernel_size=2)
case("avg_pool3d", "overlapping, padding not counted", [normal(1, 4, 3, 5)], kernel_size=3, stride=2, padding=1, count_include_pad=False)
case("avg_pool3d", "ceil, divisor", [normal(1, 1, 4, 3, 5)], kernel_size=2, ceil_mode=True, divisor_override=-5)
case("avg_pool3d", "size 1", [normal(1, 1, 1, 1, 1)], kernel_size=1)

case("lp_pool1d", "2", [normal(2, 6, 6)], norm_type=2, kernel_size=2)
case("lp_pool1d", "4.5", [positive(2, 7)], norm_type=4.5, kernel_size=3, stride=2, ceil_mode=True)
case("lp_pool1d", "1, sum 0", [np.array([[1.0, -1.0, 2.0, 3.0]])], norm_type=1, kernel_size=2, smooth=False)
case("lp_pool1d", "inf", [apart(2, 8) - 1.2], norm_type=float("inf"), kernel_size=3, stride=1)
case("lp_pool2d", "2", [normal(2, 2, 4, 4)], norm_type=2, kernel_size=2)
case("lp_pool2d", "3, ceil", [positive(2, 5, 4)], norm_type=3.0, kernel_size=(3, 2), stride=2, ceil_mode=True)
case("lp_pool2d", "zeros", [np.zeros((1, 1, 4, 4))], norm_type=2, kernel_size=2, smooth=False)
case("lp_pool2d", "-1", [positive(1, 4, 4)], norm_type=-1, kernel_size=2)
case("lp_pool2d", "-1, infinite", [np.full((1, 2, 2), np.inf)], norm_type=-1, kernel_size=2, smooth=False)
case("lp_pool2d", "-inf, zeros", [np.zeros((1, 4, 4))], norm_type=float("-inf"), kernel_size=2, smooth=False)
case("lp_pool3d", "2", [normal(1, 4, 4, 4)], norm_type=2, kernel_size=2)
case("lp_pool3d", "0.5", [positive(1, 1, 3, 4, 4)], norm_type=0.5, kernel_size=2, stride=1)
case("lp_pool3d", "2, ceil", [normal(1, 3, 5, 3)], norm_type=2.0, kernel_size=(1, 2, 2), ceil_mode=True)
case("lp_pool3d", "inf", [apart(1, 2, 4, 3) - 1.2], norm_type=float("inf"), kernel_size=2, stride=1)
