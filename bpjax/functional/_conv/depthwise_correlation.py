"""The three maps of dense_correlation.py where each kernel has one channel: the image is shifted, scaled and added, tap by tap.

On a CPU XLA's grouped convolution takes ten times as long, and its derivatives thirty times.
"""

import math

import jax.numpy as jnp
from jax import lax

from .._shared.checks import at_least_float32, wide
from .kernel_windows import tap_scatter, tap_slice, taps_of

__all__ = ()  # no layers

MOST_TAPS = 64  # the program grows with each


def is_for(W, windows, shape):
    """Whether the kernels have one channel each, and few taps."""
    return W.shape[1] == 1 and windows.groups > 1 and math.prod(windows.kernel) <= MOST_TAPS


def correlate(x, W, windows):
    """y[o] = W[o] ⋆ x[c], c the channel of the kernel o."""
    size = windows.positions(x.shape[2:])
    y = sum(tap_slice(x, tap, size, windows)[:, :, None] * w for tap, w in _taps(W, windows))
    return y.reshape(y.shape[0], len(W), *size).astype(W.dtype)


def input_grad(y, W, windows, size):
    """x[c] = Σ W[o] placed at each position of y[o], times the value there, over the kernels o of the channel c."""
    y = _by_channel(y, windows)
    return sum(tap_scatter((y * w).sum(2), tap, size, windows) for tap, w in _taps(W, windows)).astype(W.dtype)


def weight_grad(x, y, windows):
    """W[o] = Σ_n x[n, c] ⋆ y[n, o], c the channel of the kernel o; one example after the other, whose taps' products are in the cache."""
    size, dtype = y.shape[2:], y.dtype
    over = tuple(range(2, y.ndim))

    def add(W, example):
        x, y = (at_least_float32(a) for a in example)
        taps = [(tap_slice(x[None], tap, size, windows)[0, :, None] * y).sum(over) for tap in taps_of(windows)]
        return W + jnp.stack(taps, -1), None

    y = _by_channel(y, windows)
    W, _ = lax.scan(add, jnp.zeros((*y.shape[1:3], math.prod(windows.kernel)), wide(dtype)), (x, y))
    return W.reshape(-1, 1, *windows.kernel).astype(dtype)


def _taps(W, windows):
    """The place of each tap, and its weights as (channels, kernels of a channel, *1) in at least float32."""
    W = at_least_float32(W.reshape(windows.groups, -1, *windows.kernel))
    for tap in taps_of(windows):
        yield tap, W[(slice(None), slice(None), *tap)].reshape(*W.shape[:2], *(1,) * len(tap))


def _by_channel(y, windows):
    """(N, O, *space) as (N, C, kernels of a channel, *space)."""
    return y.reshape(y.shape[0], windows.groups, y.shape[1] // windows.groups, *y.shape[2:])
