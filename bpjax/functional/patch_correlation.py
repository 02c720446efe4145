"""The three maps of dense_correlation.py for kernels of few weights: products with patches of the image, some examples at a time.

A first layer, whose image has few channels, has such kernels. On a CPU a product takes a third of the time of XLA's convolution, which
turns image and result over to have their channels last.
"""

import math

import jax.numpy as jnp

from . import dense_correlation, phased_correlation
from .chunks import in_chunks
from .depthwise_correlation import met, places

__all__ = ()  # no layers

MOST_WEIGHTS = 64  # of a kernel: with more XLA's convolution is as fast
VALUES = 2**18  # of the patches that are there at a time


def is_for(W, windows):
    """Whether the kernels have few weights, in one group."""
    return windows.groups == 1 and math.prod(W.shape[1:]) <= MOST_WEIGHTS


def correlate(x, W, windows):
    """y[o] = Σ_c W[o, c] ⋆ x[c]."""
    size, matrix = windows.positions(x.shape[2:]), W.reshape(len(W), -1)

    def step(_, chunk):
        (x,) = chunk
        W = jnp.broadcast_to(matrix, (len(x), *matrix.shape))
        return None, jnp.matmul(W, _patches(x, size, windows), preferred_element_type=_wide(x)).astype(x.dtype)

    _, y = in_chunks(step, None, _examples(x, size, windows), (x,))
    return y.reshape(len(x), len(W), *size)


def spread(y, W, windows, size):
    """x[c] = Σ_o W[o, c] placed at each position of y[o], times the value there; patches of y would have more weights."""
    maps = phased_correlation if phased_correlation.is_for(W, windows) else dense_correlation
    return maps.spread(y, W, windows, size)


def kernel_between(x, y, windows):
    """W[o, c] = Σ_n x[n, c] ⋆ y[n, o]."""
    size, shape = y.shape[2:], (y.shape[1], x.shape[1], *windows.kernel)

    def step(W, chunk):
        x, y = chunk
        of_each = jnp.einsum("nos,nks->nok", y, _patches(x, size, windows), preferred_element_type=W.dtype)
        return W + of_each.sum(0), None

    W = jnp.zeros((shape[0], math.prod(shape[1:])), _wide(x))
    W, _ = in_chunks(step, W, _examples(x, size, windows), (x, y.reshape(*y.shape[:2], math.prod(size))))
    return W.reshape(shape).astype(x.dtype)


def _patches(x, size, windows):
    """What each kernel meets, (N, C taps, positions)."""
    met_by_tap = jnp.stack([met(x, tap, size, windows) for tap in places(windows)], 2)
    return met_by_tap.reshape(len(x), x.shape[1] * math.prod(windows.kernel), math.prod(size))


def _examples(x, size, windows):
    """How many examples make a chunk: about as many in each."""
    of_each = x.shape[1] * math.prod(windows.kernel) * math.prod(size)
    chunks = max(-(-len(x) * of_each // VALUES), 1)
    return max(-(-len(x) // chunks), 1)


def _wide(x):
    return jnp.promote_types(x.dtype, jnp.float32)
