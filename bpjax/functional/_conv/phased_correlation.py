"""The three maps of dense_correlation.py for kernels that lie several places apart: `input_grad` phase by phase.

XLA's convolution would meet the zeros between the values of y. The places of x that lie r behind a multiple of the stride, one phase,
meet only some taps of the kernel, and no zeros.
"""

import itertools
import math

import jax.numpy as jnp
from jax import lax

from . import dense_correlation
from .dense_correlation import correlate, weight_grad  # noqa: F401

__all__ = ()  # no layers

MOST_PHASES = 16  # the program grows with each


def is_for(W, windows, shape):
    """Whether there are several phases, and not too many."""
    return 1 < math.prod(windows.stride) <= MOST_PHASES


def input_grad(y, W, windows, size):
    """x[c] = Σ_o W[o, c] placed at each position of y[o], times the value there; what lies beyond `size` is cut."""
    counts = tuple(-(-n // s) for n, s in zip(size, windows.stride))
    phases = [_phase(r, y, W, windows, counts) for r in itertools.product(*map(range, windows.stride))]
    x = jnp.stack(phases).reshape(*windows.stride, *phases[0].shape)
    n = len(size)
    x = x.transpose(n, n + 1, *itertools.chain(*((n + 2 + axis, axis) for axis in range(n))))
    x = x.reshape(*x.shape[:2], *(count * s for count, s in zip(counts, windows.stride)))
    return lax.slice(x, (0,) * x.ndim, (*x.shape[:2], *size))


def _phase(r, y, W, windows, counts):
    """The places r + s i of x, i below `counts`: tap t stands there at position (r + s i + p - d t) / s, where that is whole."""
    first, starts, every, dilation = [], [], [], []
    for r, s, (p, _), d, k in zip(r, windows.stride, windows.padding, windows.dilation, windows.kernel):
        common = math.gcd(s, d)
        t = next((t for t in range(min(k, s // common)) if (r + p - d * t) % s == 0), None)
        if t is None:
            return jnp.zeros((y.shape[0], W.shape[1] * windows.groups, *counts), y.dtype)
        first.append(((r + p - d * t) // s, 0))
        starts.append(t)
        every.append(s // common)
        dilation.append(d // common)
    W = W[(..., *(slice(t, None, step) for t, step in zip(starts, every)))]
    dense = windows._replace(kernel=W.shape[2:], stride=(1,) * len(first), padding=tuple(first), dilation=tuple(dilation))
    return dense_correlation.input_grad(y, W, dense, counts)
