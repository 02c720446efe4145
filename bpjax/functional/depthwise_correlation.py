"""The three maps of dense_correlation.py where each kernel has one channel: the image is shifted, scaled and added, tap by tap.

On a CPU XLA's grouped convolution takes ten times as long, and its derivatives thirty times.
"""

import itertools
import math

import jax.numpy as jnp
from jax import lax

from .checks import at_least_float32

__all__ = ()  # no layers

MOST_TAPS = 64  # the program grows with each


def is_for(W, windows):
    """Whether the kernels have one channel each, and few taps."""
    return W.shape[1] == 1 and windows.groups > 1 and math.prod(windows.kernel) <= MOST_TAPS


def correlate(x, W, windows):
    """y[o] = W[o] ⋆ x[c], c the channel of the kernel o."""
    size = windows.positions(x.shape[2:])
    y = sum(met(x, tap, size, windows)[:, :, None] * w for tap, w in _taps(W, windows))
    return y.reshape(y.shape[0], len(W), *size).astype(W.dtype)


def spread(y, W, windows, size):
    """x[c] = Σ W[o] placed at each position of y[o], times the value there, over the kernels o of the channel c."""
    y = _by_channel(y, windows)
    return sum(_placed((y * w).sum(2), tap, size, windows) for tap, w in _taps(W, windows)).astype(W.dtype)


def kernel_between(x, y, windows):
    """W[o] = Σ_n x[n, c] ⋆ y[n, o], c the channel of the kernel o; one example after the other, whose taps' products are in the cache."""
    size, dtype = y.shape[2:], y.dtype
    over = tuple(range(2, y.ndim))

    def add(W, example):
        x, y = (at_least_float32(a) for a in example)
        taps = [(met(x[None], tap, size, windows)[0, :, None] * y).sum(over) for tap in places(windows)]
        return W + jnp.stack(taps, -1), None

    y = _by_channel(y, windows)
    W, _ = lax.scan(add, jnp.zeros((*y.shape[1:3], math.prod(windows.kernel)), jnp.promote_types(dtype, jnp.float32)), (x, y))
    return W.reshape(-1, 1, *windows.kernel).astype(dtype)


def places(windows):
    """The taps of a kernel, row by row."""
    return itertools.product(*map(range, windows.kernel))


def _taps(W, windows):
    """The place of each tap, and its weights as (channels, kernels of a channel, *1) in at least float32."""
    W = at_least_float32(W.reshape(windows.groups, -1, *windows.kernel))
    for tap in places(windows):
        yield tap, W[(slice(None), slice(None), *tap)].reshape(*W.shape[:2], *(1,) * len(tap))


def _along(tap, m, n, windows):
    """For each axis of n values where the first of m windows has this tap, and how far it is from the last one to the end."""
    for t, d, (before, _), s, m, n in zip(tap, windows.dilation, windows.padding, windows.stride, m, n):
        start = t * d - before
        yield start, n - start - (m - 1) * s - 1, s


def met(x, tap, size, windows):
    """What this tap of each of so many windows meets of x (N, C, *space)."""
    ends = [(-start, -rest, 0) for start, rest, _ in _along(tap, size, x.shape[2:], windows)]
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0)] * 2 + ends)
    return lax.slice(x, (0,) * x.ndim, x.shape, (1, 1, *windows.stride))


def _placed(y, tap, size, windows):
    """The transpose of `met`: y (N, C, *windows) where this tap of its windows stands in an image of this size."""
    ends = [(start, rest, s - 1) for start, rest, s in _along(tap, y.shape[2:], size, windows)]
    return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0)] * 2 + ends)


def _by_channel(y, windows):
    """(N, O, *space) as (N, C, kernels of a channel, *space)."""
    return y.reshape(y.shape[0], windows.groups, y.shape[1] // windows.groups, *y.shape[2:])
