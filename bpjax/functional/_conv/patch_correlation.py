"""The three maps of dense_correlation.py for kernels of few weights: products with patches of the image, some examples at a time.

A first layer, whose image has few channels, has such kernels. XLA's convolution turns image and result over to have their channels last:
on a CPU 64 images of 3 x 32 x 32 to 32 channels take it 6.6 ms, and a product 2.5.
"""

import math
from functools import partial

import jax.numpy as jnp

from ...engine import added_up, along, shared
from .._shared.checks import wide
from .._shared.chunks import even_rows, in_chunks
from .._shared.sizes import is_known
from . import dense_correlation, phased_correlation
from .kernel_windows import tap_slice, taps_of
from .pointwise_correlation import times_each

__all__ = ()  # no layers

MOST_WEIGHTS = 64  # of a kernel: with 288 XLA's convolution is faster
VALUES = 2**16  # of the patches that are there at a time


def is_for(W, windows, shape):
    """Whether the kernels have few weights, in one group, and the patches of one example few values."""
    weights = math.prod(W.shape[1:])
    return (
        is_known(*shape) and windows.groups == 1 and weights <= MOST_WEIGHTS and weights * math.prod(windows.positions(shape[2:])) <= VALUES
    )


def correlate(x, W, windows):
    """y[o] = Σ_c W[o, c] ⋆ x[c]."""
    return shared(partial(_correlate, windows=windows), (x, W), [*along("examples", x), *along(None, W)], along("examples", x))[0]


def _correlate(over, x, W, windows):
    size, matrix = windows.positions(x.shape[2:]), W.reshape(len(W), -1)

    def step(_, chunk):
        (x,) = chunk
        return None, times_each(matrix, _patches(x, size, windows))

    _, y = in_chunks(step, None, _examples(x, size, windows), (x,))
    return [y.reshape(len(x), len(W), *size)]


def input_grad(y, W, windows, size):
    """x[c] = Σ_o W[o, c] placed at each position of y[o], times the value there; as y has other channels than x, it has no such patches."""
    maps = phased_correlation if phased_correlation.is_for(W, windows, (*y.shape[:1], W.shape[1], *size)) else dense_correlation
    return maps.input_grad(y, W, windows, size)


def weight_grad(x, y, windows):
    """W[o, c] = Σ_n x[n, c] ⋆ y[n, o]."""
    return shared(partial(_weight_grad, windows=windows), (x, y), along("examples", x, y), along(None, x))[0]


def _weight_grad(over, x, y, windows):
    size, shape = y.shape[2:], (y.shape[1], x.shape[1], *windows.kernel)

    def step(W, chunk):
        x, y = chunk
        of_each = jnp.einsum("nos,nks->nok", y, _patches(x, size, windows), preferred_element_type=W.dtype)
        return W + of_each.sum(0), None

    W = jnp.zeros((shape[0], math.prod(shape[1:])), wide(x.dtype))
    W, _ = in_chunks(step, W, _examples(x, size, windows), (x, y.reshape(*y.shape[:2], math.prod(size))))
    return [added_up(W.reshape(shape).astype(x.dtype), over["examples"])]


def _patches(x, size, windows):
    """What each kernel meets, (N, C taps, positions)."""
    by_tap = jnp.stack([tap_slice(x, tap, size, windows) for tap in taps_of(windows)], 2)
    return by_tap.reshape(len(x), x.shape[1] * math.prod(windows.kernel), math.prod(size))


def _examples(x, size, windows):
    """How many examples make a chunk."""
    return even_rows(len(x), len(x) * x.shape[1] * math.prod(windows.kernel) * math.prod(size), VALUES)
