"""Cases of poolings to a given size."""

import jax
import jax.numpy as jnp
import numpy as np

import bpjax.functional as F

from .pooling import first_of
from .table import apart, case, normal, unit

case("adaptive_avg_pool1d", "uneven", [normal(2, 7, 7)], output_size=3)
case("adaptive_avg_pool1d", "even", [normal(2, 9)], output_size=(3,))
case("adaptive_avg_pool1d", "to one", [normal(1, 2, 5)], output_size=1)
case("adaptive_avg_pool1d", "to more", [normal(1, 2, 5)], output_size=7)
case("adaptive_avg_pool2d", "uneven", [normal(2, 2, 5, 5)], output_size=3)
case("adaptive_avg_pool2d", "one size kept", [normal(2, 4, 5)], output_size=(None, 2))
case("adaptive_avg_pool2d", "more and fewer", [normal(1, 2, 3, 8)], output_size=(6, 4))
case("adaptive_avg_pool2d", "to one", [normal(1, 2, 5, 3)], output_size=1)
case("adaptive_avg_pool2d", "batch 0", [normal(0, 2, 5, 3)], output_size=2)
case("adaptive_avg_pool3d", "uneven", [normal(1, 5, 5, 5)], output_size=3)
case("adaptive_avg_pool3d", "sizes kept", [normal(1, 1, 2, 3, 4)], output_size=(None, 2, None))
case("adaptive_avg_pool3d", "even", [normal(1, 4, 2, 4)], output_size=2)
case("adaptive_avg_pool3d", "size 1", [normal(1, 1, 1, 1, 1)], output_size=1)

case("adaptive_max_pool1d", "uneven", [apart(2, 7, 7)], output_size=3)
case("adaptive_max_pool1d", "even, indices", [apart(2, 9)], f=first_of("adaptive_max_pool1d", output_size=3, return_indices=True))
case("adaptive_max_pool1d", "to one", [apart(1, 2, 37)], output_size=1)
case("adaptive_max_pool1d", "ties", [np.ones((1, 2, 11))], output_size=4, smooth=False)
case("adaptive_max_pool1d_with_indices", "uneven", [apart(2, 7, 7)], f=first_of("adaptive_max_pool1d_with_indices", output_size=3))
case("adaptive_max_pool1d_with_indices", "even", [apart(2, 8)], f=first_of("adaptive_max_pool1d_with_indices", output_size=2))
case("adaptive_max_pool1d_with_indices", "to more", [apart(2, 3)], f=first_of("adaptive_max_pool1d_with_indices", output_size=5))
case("adaptive_max_pool1d_with_indices", "batch 0", [apart(0, 2, 3)], f=first_of("adaptive_max_pool1d_with_indices", output_size=2))
case("adaptive_max_pool2d", "uneven", [apart(2, 2, 5, 5)], output_size=3)
case("adaptive_max_pool2d", "one size kept", [apart(2, 4, 5)], output_size=(None, 2))
case("adaptive_max_pool2d", "more than 256 taps", [apart(1, 17, 18)], output_size=1)
case("adaptive_max_pool2d", "ties", [np.ones((1, 1, 7, 5))], output_size=(3, 2), smooth=False)
case("adaptive_max_pool2d_with_indices", "uneven", [apart(2, 2, 5, 5)], f=first_of("adaptive_max_pool2d_with_indices", output_size=3))
case("adaptive_max_pool2d_with_indices", "even", [apart(2, 6, 4)], f=first_of("adaptive_max_pool2d_with_indices", output_size=2))
case("adaptive_max_pool2d_with_indices", "to more", [apart(2, 2, 3)], f=first_of("adaptive_max_pool2d_with_indices", output_size=5))
case("adaptive_max_pool2d_with_indices", "size 1", [apart(1, 1, 1)], f=first_of("adaptive_max_pool2d_with_indices", output_size=1))
case("adaptive_max_pool3d", "uneven", [apart(1, 5, 5, 5)], output_size=3)
case("adaptive_max_pool3d", "sizes kept", [apart(1, 1, 2, 3, 4)], output_size=(None, 2, None))
case("adaptive_max_pool3d", "even", [apart(1, 4, 2, 4)], output_size=2)
case("adaptive_max_pool3d", "ties", [np.ones((1, 3, 4, 5))], output_size=2, smooth=False)
case("adaptive_max_pool3d_with_indices", "uneven", [apart(1, 5, 5, 5)], f=first_of("adaptive_max_pool3d_with_indices", output_size=3))
case("adaptive_max_pool3d_with_indices", "even", [apart(1, 4, 2, 4)], f=first_of("adaptive_max_pool3d_with_indices", output_size=2))
case("adaptive_max_pool3d_with_indices", "to more", [apart(1, 2, 1, 3)], f=first_of("adaptive_max_pool3d_with_indices", output_size=4))
case("adaptive_max_pool3d_with_indices", "batch 0", [apart(0, 1, 2, 2, 2)], f=first_of("adaptive_max_pool3d_with_indices", output_size=1))


def drawn(op, *, seed=0, **options):
    def f(x):
        values = getattr(F, op)(x, rng=jax.random.key(seed), **options)
        return values[0] if isinstance(values, tuple) else values

    return f


def sampled(op, *shape, **options):
    return lambda x: getattr(F, op)(x, _random_samples=jnp.asarray(unit(*shape)), **options)


case("fractional_max_pool2d", "drawn", [apart(2, 2, 7, 7)], f=drawn("fractional_max_pool2d", kernel_size=2, output_size=4))
case(
    "fractional_max_pool2d", "samples", [apart(2, 2, 7, 9)], f=sampled("fractional_max_pool2d", 2, 2, 2, kernel_size=3, output_size=(3, 4))
)
case(
    "fractional_max_pool2d",
    "samples, differentiated",
    [apart(1, 7, 7), unit(1, 1, 2)],
    f=lambda x, u: F.fractional_max_pool2d(x, 2, 3, _random_samples=u),
)
case(
    "fractional_max_pool2d",
    "ratio",
    [apart(2, 8, 7)],
    f=drawn("fractional_max_pool2d", kernel_size=(3, 2), output_ratio=(0.5, 0.7), return_indices=True),
)
case("fractional_max_pool2d", "ties", [np.ones((1, 1, 6, 6))], f=drawn("fractional_max_pool2d", kernel_size=3, output_size=3), smooth=False)
case("fractional_max_pool2d", "to one", [apart(1, 1, 4, 4)], f=drawn("fractional_max_pool2d", kernel_size=3, output_size=1))
case(
    "fractional_max_pool2d_with_indices",
    "drawn",
    [apart(2, 2, 7, 7)],
    f=drawn("fractional_max_pool2d_with_indices", kernel_size=2, output_size=4),
)
case(
    "fractional_max_pool2d_with_indices",
    "unbatched",
    [apart(2, 7, 7)],
    f=drawn("fractional_max_pool2d_with_indices", kernel_size=2, output_size=4),
)
case(
    "fractional_max_pool2d_with_indices",
    "ratio",
    [apart(1, 8, 8)],
    f=drawn("fractional_max_pool2d_with_indices", kernel_size=2, output_ratio=0.5),
)
case(
    "fractional_max_pool2d_with_indices",
    "batch 0",
    [apart(0, 1, 8, 8)],
    f=drawn("fractional_max_pool2d_with_indices", kernel_size=2, output_size=2),
)
case("fractional_max_pool3d", "drawn", [apart(1, 5, 5, 5)], f=drawn("fractional_max_pool3d", kernel_size=2, output_size=3))
case(
    "fractional_max_pool3d",
    "samples",
    [apart(1, 2, 5, 4, 6)],
    f=sampled("fractional_max_pool3d", 1, 2, 3, kernel_size=(2, 1, 3), output_size=(3, 2, 2)),
)
case("fractional_max_pool3d", "ratio", [apart(1, 6, 5, 5)], f=drawn("fractional_max_pool3d", kernel_size=2, output_ratio=0.6))
case(
    "fractional_max_pool3d",
    "ties",
    [np.ones((1, 1, 5, 5, 5))],
    f=drawn("fractional_max_pool3d", kernel_size=3, output_size=2),
    smooth=False,
)
case(
    "fractional_max_pool3d_with_indices",
    "drawn",
    [apart(1, 5, 5, 5)],
    f=drawn("fractional_max_pool3d_with_indices", kernel_size=2, output_size=3),
)
case(
    "fractional_max_pool3d_with_indices",
    "batch",
    [apart(2, 1, 4, 4, 4)],
    f=drawn("fractional_max_pool3d_with_indices", kernel_size=1, output_size=2),
)
case(
    "fractional_max_pool3d_with_indices",
    "ratio",
    [apart(1, 4, 5, 6)],
    f=drawn("fractional_max_pool3d_with_indices", kernel_size=2, output_ratio=(0.5, 0.6, 0.6)),
)
case(
    "fractional_max_pool3d_with_indices",
    "to one",
    [apart(1, 4, 4, 4)],
    f=drawn("fractional_max_pool3d_with_indices", kernel_size=2, output_size=1),
)
