"""The three maps of dense_correlation.py where each kernel has one channel: the image is shifted and added, tap by tap.

On a CPU XLA's grouped convolution takes 12 times as long, and its derivatives still longer.
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
    x = _padded(x, windows.padding)[:, :, None]
    size = [(n - 1 - r) // s + 1 for n, r, s in zip(x.shape[3:], windows.reach, windows.stride)]
    y = sum(_at(x, tap, size, windows) * w for tap, w in _taps(W, windows))
    return y.reshape(y.shape[0], -1, *size).astype(W.dtype)


def spread(y, W, windows, size):
    """x[c] = Σ W[o] placed at each position of y[o], times the value there, over the kernels o of the channel c."""
    y = _by_channel(y, windows)
    y = lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0)] * 3 + [(0, 0, s - 1) for s in windows.stride])
    before = [r - p for r, (p, _) in zip(windows.reach, windows.padding)]
    around = [(b, n + r - m - b) for b, n, m, r in zip(before, size, y.shape[3:], windows.reach)]
    y = lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0)] * 3 + [(*p, 0) for p in around])
    whole = windows._replace(stride=(1,) * len(size))
    ends = [k - 1 for k in windows.kernel]
    x = sum((_at(y, [e - t for e, t in zip(ends, tap)], size, whole) * w).sum(2) for tap, w in _taps(W, windows))
    return x.astype(W.dtype)


def kernel_between(x, y, windows):
    """W[o] = Σ_n x[n, c] ⋆ y[n, o], c the channel of the kernel o."""
    dtype, size = y.dtype, y.shape[2:]
    x, y = at_least_float32(_padded(x, windows.padding)[:, :, None]), at_least_float32(_by_channel(y, windows))
    over = (0, *range(3, y.ndim))
    taps = [(_at(x, tap, size, windows) * y).sum(over) for tap in _places(windows)]
    return jnp.stack(taps, -1).reshape(-1, 1, *windows.kernel).astype(dtype)


def _places(windows):
    return itertools.product(*map(range, windows.kernel))


def _taps(W, windows):
    """The place of each tap, and its weights as (groups, kernels of a channel, *1) in at least float32."""
    W = at_least_float32(W.reshape(windows.groups, -1, *windows.kernel))
    for tap in _places(windows):
        yield tap, W[(slice(None), slice(None), *tap)].reshape(*W.shape[:2], *(1,) * len(tap))


def _at(x, tap, size, windows):
    """What a tap meets: the image (N, C, 1 or kernels, *space) from its place on, in steps of the stride."""
    start = [t * d for t, d in zip(tap, windows.dilation)]
    stop = [a + (m - 1) * s + 1 for a, m, s in zip(start, size, windows.stride)]
    return lax.slice(x, (0, 0, 0, *start), (*x.shape[:3], *stop), (1, 1, 1, *windows.stride))


def _by_channel(y, windows):
    """(N, O, *space) as (N, C, kernels of a channel, *space)."""
    return y.reshape(y.shape[0], windows.groups, -1, *y.shape[2:])


def _padded(x, padding):
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0)] * 2 + [(*p, 0) for p in padding])
